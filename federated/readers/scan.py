"""One pass over a CSV file's bytes: where its records begin and end, and what is wrong with them.

Arrow reads a quote that never closes as one long field up to the end of the file, numbers records
where people look for lines, and wants to know the longest record beforehand. This pass reads the
bytes by the same grammar (RFC 4180, quotes count at the beginning of a field only) and says:

- how many records there are, so that a reader can tell that it has them all;
- the line of the first record with another number of fields than the header;
- the line where a quote opens that never closes, or closes in the middle of a later line's text,
  or swallows lines that look like records;
- the first line where text follows a closing quote;
- the longest record.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from psi.kernels.cache import kernel

__all__ = ["Scan", "Scanner"]

# places in the state of a scan
(
    _STATE, _LINE, _FIELDS, _LONGEST, _RECORDS, _WIDTH, _HEADER_LINES, _HEADER_END, _SEEN, _OPENED,
    _SPANS, _INNER, _ALIKE, _MARKS, _RAGGED, _RAGGED_LINE, _RAGGED_FIELDS, _BEGUN, _BEGAN, _BROKEN,
    _BROKEN_END, _AFTER_CR, _AFTER,
) = range(23)  # fmt: skip

_START, _PLAIN, _QUOTED, _CLOSED, _TRAILING, _ESCAPED, _ESCAPED_QUOTED = range(7)
_ORDINARY, _DELIMITER, _QUOTE, _CR, _LF, _ESCAPE, _SPACE = range(7)


@dataclass(frozen=True, kw_only=True)
class Scan:
    """What a scan found; lines count from 1, 0 where there is none."""

    records: int
    width: int
    header_lines: int
    header_bytes: int
    longest: int
    ragged: int
    ragged_line: int
    ragged_fields: int
    open_line: int
    broken_line: int
    broken_end: int
    after_line: int


@kernel
def _scan(data, kinds, state):  # type: ignore[no-untyped-def]
    """Go on over the bytes of one block; locals stand for `state`, which is slow."""
    now, line, fields = state[_STATE], state[_LINE], state[_FIELDS]
    longest, records, width = state[_LONGEST], state[_RECORDS], state[_WIDTH]
    opened, spans, inner = state[_OPENED], state[_SPANS], state[_INNER]
    alike, marks, begun, began = state[_ALIKE], state[_MARKS], state[_BEGUN], state[_BEGAN]
    ragged, seen, size = state[_RAGGED], state[_SEEN], data.size
    i = 0
    while i < size:
        kind = kinds[data[i]]
        if kind == _ORDINARY and now in (_PLAIN, _QUOTED):
            if now == _QUOTED and marks < 0:
                marks = 0
            while i < size and kinds[data[i]] == _ORDINARY:
                i += 1
            continue
        broke = kind in (_CR, _LF)
        if kind == _LF and (data[i - 1] == 13 if i > 0 else state[_AFTER_CR] == 1):
            i += 1  # the second half of a line break
            continue
        i += 1
        if now in (_QUOTED, _ESCAPED_QUOTED):
            if now == _ESCAPED_QUOTED:
                now = _QUOTED
            elif kind == _ESCAPE:
                now = _ESCAPED_QUOTED
                continue
            elif kind == _QUOTE:
                now = _CLOSED
                continue
            if broke:
                line += 1
                if spans > 0 and marks >= 0:
                    inner += 1
                    alike += width > 1 and marks == width - 1
                spans += 1
                marks = -1  # a blank line so far
            else:
                marks = max(marks, 0) + (kind == _DELIMITER)
            continue
        ended = now in (_CLOSED, _TRAILING)
        if broke and now == _ESCAPED:  # an escaped line break belongs to its field
            now, line = _PLAIN, line + 1
            continue
        if broke or (kind == _DELIMITER and now != _ESCAPED):
            # Lines inside a quoted text that are all like records: it was not meant to hold them.
            if ended and inner >= 2 and inner == alike and state[_BROKEN] == 0:
                state[_BROKEN], state[_BROKEN_END] = opened, line
            if ended:
                inner = 0
            if not broke:
                if fields < 0:
                    fields, begun, began = 0, line, seen + i - 1
                fields += 1
                now = _START
                continue
            if fields >= 0:  # blank lines are no records
                if records == 0:
                    width = fields + 1
                    state[_HEADER_LINES], state[_HEADER_END] = line, seen + i
                elif fields + 1 != width:
                    if ragged == 0:
                        state[_RAGGED_LINE], state[_RAGGED_FIELDS] = begun, fields + 1
                    ragged += 1
                records += 1
                longest = max(longest, seen + i - began)
            now, fields, line = _START, -1, line + 1
            continue
        if fields < 0:
            fields, begun, began = 0, line, seen + i - 1
        if now == _ESCAPED:
            now = _PLAIN
        elif kind == _QUOTE and now == _CLOSED:
            now = _QUOTED  # two quotes are one
        elif kind == _QUOTE and now == _START:
            now, opened, spans, inner, alike, marks = _QUOTED, line, 0, 0, 0, -1
        elif kind == _ESCAPE:
            now = _ESCAPED
        elif kind == _SPACE and ended:
            now = _TRAILING
        else:
            if ended and spans > 0 and state[_BROKEN] == 0:
                state[_BROKEN], state[_BROKEN_END] = opened, line
            elif ended and state[_AFTER] == 0:
                state[_AFTER] = line  # Arrow would read on and drop the quotes
            now = _PLAIN
    state[_STATE], state[_LINE], state[_FIELDS] = now, line, fields
    state[_LONGEST], state[_RECORDS], state[_WIDTH] = longest, records, width
    state[_OPENED], state[_SPANS], state[_INNER] = opened, spans, inner
    state[_ALIKE], state[_MARKS], state[_BEGUN], state[_BEGAN] = alike, marks, begun, began
    state[_RAGGED], state[_SEEN] = ragged, seen + size
    state[_AFTER_CR] = 1 if size and data[size - 1] == 13 else 0


class Scanner:
    """Feed it blocks of UTF-8 bytes in order; `done` after the last."""

    def __init__(self, delimiter: str, quote: str = '"', escape: str = "") -> None:
        self._kinds = np.zeros(256, np.uint8)
        self._kinds[[10, 13, 32]] = _LF, _CR, _SPACE
        for mark, kind in ((quote, _QUOTE), (escape, _ESCAPE), (delimiter, _DELIMITER)):
            if mark:
                self._kinds[ord(mark)] = kind
        self._state = np.zeros(23, np.int64)
        self._state[_LINE], self._state[_FIELDS] = 1, -1

    @property
    def header_bytes(self) -> int:
        """Bytes up to the end of the header; 0 as long as it has not been seen whole."""
        return int(self._state[_HEADER_END])

    def feed(self, data: bytes) -> None:
        """Go on over these bytes."""
        _scan(np.frombuffer(data, np.uint8), self._kinds, self._state)

    def done(self) -> Scan:
        """The file is at its end."""
        state = self._state
        opened = int(state[_OPENED]) if state[_STATE] in (_QUOTED, _ESCAPED_QUOTED) else 0
        if not opened:
            state[_STATE] = _PLAIN if state[_STATE] == _ESCAPED else state[_STATE]
            state[_AFTER_CR] = 0
            _scan(np.frombuffer(b"\n", np.uint8), self._kinds, state)
        found = {name: int(state[place]) for name, place in _PLACES.items()}
        return Scan(**found, open_line=opened)


_PLACES = {
    "records": _RECORDS, "width": _WIDTH, "header_lines": _HEADER_LINES,
    "header_bytes": _HEADER_END, "longest": _LONGEST, "ragged": _RAGGED,
    "ragged_line": _RAGGED_LINE, "ragged_fields": _RAGGED_FIELDS, "broken_line": _BROKEN,
    "broken_end": _BROKEN_END, "after_line": _AFTER,
}  # fmt: skip
