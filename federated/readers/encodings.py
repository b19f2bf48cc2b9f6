"""Which encoding a text file is in, where it is not the one that was declared.

Nothing is guessed in silence: a file is read as it is declared, and an error says what to declare.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator

import pyarrow as pa

from psi.protocol.errors import InputError

__all__ = ["byte_order_mark", "other_encoding", "utf_8_after_all"]

_BLOCK = 1 << 20
_SURE = 8
"""So many characters beyond ASCII that are all UTF-8: other encodings spell no text so."""

_FOUR_BYTES = rb"[\x81-\xfe][0-9][\x81-\xfe][0-9]"
"""A rare character of GB18030."""

Stream = Callable[[], pa.NativeFile]
"""Opens the file's bytes from the beginning."""


def byte_order_mark(stream: pa.NativeFile) -> str:
    """ "utf-16" or "utf-32" for a file that begins with its mark, else ""."""
    with stream:
        head = stream.read(4)
    if head in (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE):
        return "utf-32"
    return "utf-16" if head[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else ""


def utf_8_after_all(found: str, stream: Stream, encoding: str) -> InputError | None:
    """The error for a file that is UTF-8 and declared as something else, which would garble it.

    Args:
        found: what the error begins with: the binding and the file.
        stream: opens the file.
        encoding: as it is declared.
    """
    if codecs.lookup(encoding).name.startswith(("utf", "ascii")):
        return None
    beyond = sum(byte >= 0xC0 for byte in next(_parts(stream), b""))
    if beyond < _SURE or _first_bad_line(stream, "utf-8"):
        return None
    return InputError(
        f"{found} is utf-8 text, declared {encoding!r}: its {beyond:,} letters beyond ASCII would "
        "be garbled",
        hint='set encoding = "utf-8" in tables.toml, or leave it out',
    )


def other_encoding(found: str, stream: Stream, encoding: str) -> InputError:
    """Where the text stops being of its encoding, and which other one the whole file is in.

    Args:
        found: what the error begins with: the binding and the file.
        stream: opens the file.
        encoding: as it is declared.
    """
    if after := _behind_mark(stream):
        return InputError(
            f"{found} begins with the mark of utf-8, and goes on in another encoding",
            hint=f"take its first three bytes away, and set encoding = {after} in tables.toml",
        )
    line, others = _first_bad_line(stream, encoding), list[str]()
    if codecs.lookup(encoding).name == "utf-8" and 0 < _first_bad_line(stream, "ascii") < line:
        # other encodings take nearly any bytes, and would garble what is read well so far
        return InputError(
            f"{found} is not {encoding} text from line {line:,} on, and is before",
            hint="it mixes encodings, as files put together from several do: export it as one",
        )
    marked = byte_order_mark(stream()) or _wide(stream)
    for name in (marked,) if marked else ("utf-8", "gb18030"):
        same = codecs.lookup(name) == codecs.lookup(encoding)
        if not same and not _first_bad_line(stream, name):
            others += _chinese(stream) if name == "gb18030" else [f'"{name}"']
    hint = f"try encoding = {' or '.join(others)} in tables.toml"
    if not others:
        hint = "it may mix encodings, as files put together from several do: export it as one"
        western = not _first_bad_line(stream, "windows-1252")  # which takes nearly all bytes
        if western and _first_bad_line(stream, "ascii") == line:
            it = 'if it is Western European, set encoding = "windows-1252" in tables.toml'
            hint = f"{it}; if not, {hint}"
    place = f" from line {line:,} on" if line > 1 else ""
    return InputError(f"{found} is not {encoding} text{place}", hint=hint)


def _behind_mark(stream: Stream) -> str:
    """The encodings of Chinese that a file is in behind a mark of UTF-8 that it has no right to."""

    def behind() -> pa.NativeFile:
        file = stream()
        file.read(len(codecs.BOM_UTF8))
        return file

    with stream() as file:
        marked = file.read(3) == codecs.BOM_UTF8
    if not marked or not _first_bad_line(stream, "utf-8") or _first_bad_line(behind, "gb18030"):
        return ""
    return " or ".join(_chinese(behind))


def _wide(stream: Stream) -> str:
    """UTF-16 without a mark: every second byte of what is mostly ASCII is NUL."""
    head = next(_parts(stream), b"")[:4096]
    if 4 * head.count(0) <= len(head):
        return ""
    return "utf-16-be" if head[:1] == b"\0" else "utf-16-le"


def _chinese(stream: Stream) -> list[str]:
    """GBK takes most bytes, Western text too: what the first lines of a file look like.

    Chinese text is of pairs of high bytes. An umlaut or accent stands alone, between letters.
    GB18030 has rare characters, of names too, that GBK has not.
    """
    head = re.sub(_FOUR_BYTES, b"", next(_parts(stream), b""))
    runs = [len(run) for run in re.findall(rb"[\x80-\xff]+", head)]
    if 2 * sum(run == 1 for run in runs) > len(runs):
        return ['"windows-1252"']
    name = "gb18030" if _first_bad_line(stream, "gbk") else "gbk"
    return [f'"{name}"', *['"big5"'] * (not _first_bad_line(stream, "big5"))]


def _parts(stream: Stream) -> Iterator[bytes]:
    with stream() as file:
        while part := file.read(_BLOCK):
            yield part


def _first_bad_line(stream: Stream, encoding: str) -> int:
    """The number of the first line that is not of this encoding; 0 if all are."""
    decoder, line = codecs.getincrementaldecoder(encoding)(), 1
    try:
        for part in _parts(stream):
            line += decoder.decode(part).count("\n")
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        return line + error.object[: error.start].count(b"\n")
    except UnicodeError:  # UTF-16 and UTF-32 where the mark of their byte order is missing
        return line
    return 0
