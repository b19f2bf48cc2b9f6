"""A rule of the taxonomy: conditions that all hold, and its place in the order.

Patterns are literals. One of Latin letters is whole words (`fee` is not in `coffee`), `fee*` the
beginning of a word, `*fee` its end, `*chaoshi*` stands anywhere; one with Chinese characters does
so by itself. All are compared in half width and lower case, marks as blanks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any

from psi.protocol.errors import JobError

__all__ = ["PRIORITY", "Rule", "needle", "rules_of"]

PRIORITY = {"code": 10, "channel": 10, "mcc": 20, "text": 30, "name": 35, "rule": 50}
"""Lower is tried first; a type says its own where it needs to."""
_LISTS = ("text", "not", "name", "mcc", "code", "channel", "counterparty_kind", "order")
_PAIRS = ("amount", "age", "days", "hours")
_BOUNDS = {"age": (0, 150), "days": (1, 31), "hours": (0, 23)}
_FLAGS = ("month_end", "bare")
_KNOWN = (*_LISTS, *_PAIRS, *_FLAGS, "id", "priority", "amounts", "regular", "own", "share")
_MARKS = "\t\n\r!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~，。、；：？！“”‘’（）【】《》·—…"
_NARROW = {0xFF01 + i: 0x21 + i for i in range(94)} | {0x3000: 0x20}
_BLANKS = dict.fromkeys(map(ord, _MARKS), " ")


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule. A condition that is None is not asked for.

    `mcc` are (low, high) of merchant codes; `amount`, `amounts` whole minor units; `age` years of
    the account's owner; `bare` nothing but ways of paying and numbers in the text; `days` of the
    month; `order` categories of standing orders; `regular` the
    months, at least, in which the same counterparty came; `own` "known" for an account here of the
    same entity, "name" for one elsewhere under its name; `share` how probable the type then is.
    """

    type: str
    id: str
    ways: tuple[str, ...]
    priority: int
    rank: int = 0
    share: float = 1.0
    text: tuple[str, ...] | None = None
    without: tuple[str, ...] = ()
    name: tuple[str, ...] | None = None
    mcc: tuple[tuple[str, str], ...] | None = None
    code: tuple[str, ...] | None = None
    channel: tuple[str, ...] | None = None
    counterparty_kind: tuple[str, ...] | None = None
    order: tuple[str, ...] | None = None
    amount: tuple[int, int] | None = None
    amounts: tuple[int, ...] | None = None
    age: tuple[int, int] | None = None
    days: tuple[int, int] | None = None
    hours: tuple[int, int] | None = None
    month_end: bool | None = None
    bare: bool = False
    regular: int | None = None
    own: str | None = None
    asked: tuple[str, ...] = field(default=())

    @property
    def kind(self) -> str:
        """C, B or G."""
        return self.type[0]

    def only(self, what: str) -> bool:
        """Whether nothing but `what` ("text", "name") is asked for."""
        return self.asked == (what,)

    def ranked(self, rank: int) -> Rule:
        """The same rule at its place in the order."""
        return replace(self, rank=rank)


def needle(pattern: str) -> str:
    """What is looked for in a plain text."""
    text = pattern.translate(_NARROW).lower()
    ends = "" if text.startswith("*") else " ", "" if text.endswith("*") else " "
    text = " ".join(text.translate(_BLANKS).split())
    if not text.isascii():
        return text
    return f"{ends[0]}{text}{ends[1]}"


def rules_of(
    where: str, code: str, ways: tuple[str, ...], entry: Mapping[str, Any]
) -> tuple[Rule, ...]:
    """The rules of a type: its short forms, then its `rule` tables. Raises `JobError`."""
    found = []
    named = entry.get("named", False)
    if not isinstance(named, bool):
        raise JobError(f"{where} named: true or false allowed")
    for key in ("named", "bare"):
        if key in entry and "text" not in entry:
            raise JobError(f"{where} {key}: found without text, patterns of text needed")
    if named and isinstance(entry["text"], list):
        entry = {**entry, "name": [*entry.get("name", []), *entry["text"]]}
    for short in ("code", "channel", "mcc", "text", "name"):
        if short in entry:
            given = {"id": short, short: entry[short]}
            if short in ("text", "name"):
                given["not"] = entry.get("not", [])
                given["priority"] = entry.get("priority", PRIORITY[short])
            if short == "text" and "bare" in entry:
                given["bare"] = entry["bare"]
            found.append(_rule(where, code, ways, given, PRIORITY[short]))
    tables = entry.get("rule", [])
    if not isinstance(tables, list) or not all(isinstance(one, dict) for one in tables):
        raise JobError(f"{where} rule: [[{code}.rule]] tables needed")
    for i, one in enumerate(tables, start=1):
        found.append(_rule(where, code, ways, {"id": f"rule {i}", **one}, PRIORITY["rule"]))
    names = [rule.id for rule in found]
    if not found:
        raise JobError(f"{where}: no rule found, one at least needed")
    if len(set(names)) < len(names):
        raise JobError(f"{where} rule: two rules of one id found")
    return tuple(found)


def _rule(
    where: str, code: str, ways: tuple[str, ...], given: Mapping[str, Any], priority: int
) -> Rule:
    at = f"{where} {given['id']}"
    for key in given:
        if key not in _KNOWN:
            close = get_close_matches(key, _KNOWN, n=1)
            hint = f"did you mean {close[0]}?" if close else f"keys: {', '.join(_KNOWN)}"
            raise JobError(f"{at} {key}: unknown key", hint=hint)
    made: dict[str, Any] = {}
    for key in _LISTS:
        value = given.get(key)
        if value is None:
            continue
        if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
            raise JobError(f"{at} {key}: a list of texts needed")
        if not value and key != "not":
            raise JobError(f"{at} {key}: an empty list found, one text at least needed")
        made[key] = tuple(value)
    made["without"] = tuple(needle(one) for one in made.pop("not", ()))
    for key in ("text", "name"):
        if key in made:
            made[key] = tuple(dict.fromkeys(needle(one) for one in made[key]))
            if not all(one.strip() for one in made[key]):
                raise JobError(f"{at} {key}: an empty pattern found")
    if "mcc" in made:
        made["mcc"] = tuple(_range(at, one) for one in made["mcc"])
    for key in _PAIRS:
        if key in given:
            made[key] = _pair(at, key, given[key], *_BOUNDS.get(key, (0, 2**62)))
    for key, kind in (
        ("month_end", bool),
        ("bare", bool),
        ("regular", int),
        ("own", str),
        ("share", float),
    ):
        if key in given:
            if not isinstance(given[key], kind):
                raise JobError(f"{at} {key}: {kind.__name__} needed")
            made[key] = given[key]
    if not 0 < made.get("share", 1.0) <= 1:
        raise JobError(f"{at} share: {made['share']} found, above 0 and at most 1 allowed")
    if made.get("regular", 1) < 1:
        raise JobError(f"{at} regular: {made['regular']} found, 1 or more allowed")
    if made.get("own", "known") not in ("known", "name"):
        raise JobError(f"{at} own: {made['own']!r} found, known or name allowed")
    if "amounts" in given:
        made["amounts"] = tuple(given["amounts"])
        if not made["amounts"] or not all(isinstance(a, int) and a > 0 for a in made["amounts"]):
            raise JobError(f"{at} amounts: a list of whole minor units needed")
    priority = given.get("priority", priority)
    if not isinstance(priority, int) or not 1 <= priority <= 99:
        raise JobError(f"{at} priority: 1 to 99 allowed")
    asked = tuple(key for key in made if key not in ("without", "share", "bare"))
    if made.get("bare") and "text" not in asked:
        raise JobError(f"{at} bare: found without text, patterns of text needed")
    if not asked:
        raise JobError(f"{at}: a rule without a condition found")
    made |= {"type": code, "id": str(given["id"]), "ways": ways, "priority": priority}
    return Rule(asked=asked, **made)


def _range(at: str, text: str) -> tuple[str, str]:
    low, dash, high = text.partition("-")
    high = high if dash else low
    if not all(len(one) == 4 and one.isdigit() for one in (low, high)) or low > high:
        raise JobError(f"{at} mcc: {text!r} found, four digits or a range of them allowed")
    return low, high


def _pair(at: str, key: str, value: Any, least: int, most: int) -> tuple[int, int]:
    good = isinstance(value, list) and len(value) == 2 and all(isinstance(v, int) for v in value)
    if not good or value[0] > value[1]:
        raise JobError(f"{at} {key}: two whole numbers needed, the lower first")
    if value[0] < least or value[1] > most:
        raise JobError(f"{at} {key}: {value} found, {least} to {most} allowed")
    return value[0], value[1]
