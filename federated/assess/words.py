"""The sentences of an impact assessment, from `words.toml`: each in English and in Chinese.

What the contract itself says of a disclosure stands beside them in English: these words are signed.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files

__all__ = ["LANGUAGES", "learns", "say", "words"]

LANGUAGES = ("en", "zh")
_OTHER = ("see the contract's own words", "见合约原文")


@cache
def words(part: str) -> dict[str, tuple[str, str]]:
    """By key the two sentences of a part: "sentences", or "learns" by lines of a contract."""
    text = files("federated.assess").joinpath("words.toml").read_text("utf-8")
    return {key: (pair[0], pair[1]) for key, pair in tomllib.loads(text)[part].items()}


def say(key: str, lang: str, /, **values: object) -> str:
    """One sentence in a language; raises `KeyError` for a key that has none."""
    return words("sentences")[key][LANGUAGES.index(lang)].format(**values)


def learns(line: str, lang: str) -> str:
    """What a disclosure is, in short."""
    return words("learns").get(line, _OTHER)[LANGUAGES.index(lang)]
