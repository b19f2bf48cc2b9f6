"""Currencies: the decimal digits of each, and what tables write in place of a code.

Nothing is guessed: a code in another case or in full width is the same code. What is no code is one
of the few spellings below, or of those that `currencies` of the flow names; else it is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ibis

from profiles.flows.values import half_width

__all__ = ["ALIASES", "DIGITS", "code_of"]

_NONE = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
_THREE = "BHD IQD JOD KWD LYD OMR TND"
DIGITS = {**dict.fromkeys(_NONE.split(), 0), **dict.fromkeys(_THREE.split(), 3)}
"""Decimal digits of currencies that do not have two (ISO 4217)."""
ALIASES = {
    "RMB": "CNY", "人民币": "CNY", "人民幣": "CNY",
    "156": "CNY", "344": "HKD", "446": "MOP", "901": "TWD", "840": "USD", "978": "EUR",
    "826": "GBP", "392": "JPY", "410": "KRW", "702": "SGD", "764": "THB", "704": "VND",
    "458": "MYR", "360": "IDR", "608": "PHP", "356": "INR", "643": "RUB", "756": "CHF",
    "036": "AUD", "124": "CAD", "554": "NZD", "752": "SEK", "578": "NOK", "208": "DKK",
    "784": "AED", "682": "SAR", "414": "KWD", "048": "BHD", "512": "OMR",
}  # fmt: skip
"""What stands for a code: names of the yuan, and numeric codes (ISO 4217). CNH is its own."""
_LOWER, _UPPER = "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def code_of(text: Any, own: str, named: Mapping[str, str]) -> Any:
    """The code that a text stands for; `own` for a blank one, itself where it is none.

    Args:
        text: a column of texts without outer blanks.
        own: the flow's currency.
        named: a bank's own spellings, tried as they are and before the others.
    """
    upper = half_width(text).translate(_LOWER, _UPPER)
    others = [(upper == said, code) for said, code in ALIASES.items()]
    mine = [(text == said, code) for said, code in named.items()]
    # looked for first: most rows have the flow's own code, or none
    found = [(text == own, own), *mine, (text == "", own), *others]
    return ibis.cases(*found, else_=upper)
