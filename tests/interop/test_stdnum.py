"""Our kernels against python-stdnum and phonenumbers on generated values."""

from __future__ import annotations

import os
import random
import string
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from psi.identifiers import clean

phonenumbers = pytest.importorskip("phonenumbers", reason="pip install phonenumbers")
uscc = pytest.importorskip("stdnum.cn.uscc", reason="pip install python-stdnum")
ric = pytest.importorskip("stdnum.cn.ric", reason="pip install python-stdnum")
lei = pytest.importorskip("stdnum.lei", reason="pip install python-stdnum")
mod_97_10 = pytest.importorskip("stdnum.iso7064.mod_97_10", reason="pip install python-stdnum")

ROWS = 3000
CREDIT = "0123456789ABCDEFGHJKLMNPQRTUWXY"
UPPER = string.digits + string.ascii_uppercase


def credit_code(rng: random.Random) -> str:
    body = "".join(rng.choices(string.digits[1:], k=1) + rng.choices(string.digits, k=7))
    body += "".join(rng.choices(CREDIT, k=9))
    return f"{body}{uscc.calc_check_digit(body)}"


def identity_number(rng: random.Random) -> str:
    """Counties come and go, and the oracle knows when: draw until it agrees."""
    while True:
        value = _identity_number(rng)
        if ric.is_valid(value):
            return value


def _identity_number(rng: random.Random) -> str:
    born = date(1930, 1, 1) + timedelta(days=rng.randrange(30_000))
    county = rng.choice(["110105", "310101", "440305", "510104", "330106", "620102"])
    body = f"{county}{born:%Y%m%d}{rng.randrange(1000):03d}"
    return f"{body}{ric.calc_check_digit(body + '0')}"


def legal_entity(rng: random.Random) -> str:
    body = "".join(rng.choices(UPPER, k=18))
    return f"{body}{mod_97_10.calc_check_digits(body)}"


def disturbed(rng: random.Random, value: str, alphabet: str) -> str:
    """A value as it was, or with the faults that people and scanners make."""
    place = rng.randrange(len(value))
    fault = rng.randrange(7)
    if fault == 0:
        return value[:place] + rng.choice(alphabet) + value[place + 1 :]
    if fault == 1:
        return value[:place] + value[place + 1 :]
    if fault == 2:
        swapped = value[place : place + 2][::-1]
        return value[:place] + swapped + value[place + 2 :]
    if fault == 3:
        return value[:place] + rng.choice(" -") + value[place:]
    if fault == 4:
        return value.lower()
    if fault == 5:
        return value + rng.choice(alphabet)
    return value


@pytest.mark.parametrize(
    ("kind", "module", "make", "alphabet"),
    [
        ("credit_code", uscc, credit_code, UPPER),
        ("identity_number", ric, identity_number, "0123456789X"),
        ("lei", lei, legal_entity, UPPER),
    ],
)
def test_check_digits_agree(
    kind: str, module: object, make: Callable[[random.Random], str], alphabet: str
) -> None:
    rng = random.Random(20250314)
    given = [disturbed(rng, make(rng), alphabet) for _ in range(ROWS)]
    found = clean(pa.array(given), kind).values.to_pylist()
    differ = 0
    for spelling, ours in zip(given, found, strict=True):
        value = spelling.replace(" ", "").replace("-", "")  # ric keeps its separators
        valid = module.is_valid(value)  # type: ignore[attr-defined]
        valid = valid and (kind != "lei" or len(value) == 20)  # the oracle takes any length
        if valid:
            assert ours == module.compact(value)  # type: ignore[attr-defined]
        elif ours is not None:
            differ += 1
            assert lenient(kind, module, value)
    assert 0.2 * ROWS < sum(value is not None for value in found) < 0.9 * ROWS
    assert differ < 0.05 * ROWS


def lenient(kind: str, module: object, value: str) -> bool:
    """What we take though the oracle does not, and why."""
    compact = module.compact(value)  # type: ignore[attr-defined]
    if kind == "identity_number":
        # Counties are not looked up: dissolved ones stay in the numbers of the living.
        return bool(module.calc_check_digit(compact) == compact[-1])  # type: ignore[attr-defined]
    if kind == "credit_code":
        # Letters may stand in the first two places (N2 for agricultural collectives).
        return not compact[:2].isdigit() and compact[2:8].isdigit()
    return False


@pytest.mark.data
def test_published_credit_codes_pass() -> None:
    folder = os.environ.get("FEDPROFILE_DATA", "")
    file = Path(folder) / "identifiers" / "uscc_valid.txt"
    if not folder or not file.exists():
        pytest.skip("needs $FEDPROFILE_DATA/identifiers/uscc_valid.txt")
    given = file.read_text().split()
    found = clean(pa.array(given), "credit_code")
    assert found.values.to_pylist() == given
    assert found.changed == 0


def test_fifteen_digits_become_the_oracle_s_eighteen() -> None:
    rng = random.Random(7)
    long = [identity_number(rng) for _ in range(ROWS)]
    long = [value for value in long if value[6:8] == "19"]
    short = [value[:6] + value[8:17] for value in long]
    assert clean(pa.array(short), "identity_number").values.to_pylist() == long


def spelled(rng: random.Random, number: object) -> str:
    """One of the spellings that people use for a mainland number."""
    fmt = phonenumbers.PhoneNumberFormat
    e164: str = phonenumbers.format_number(number, fmt.E164)
    spellings = [
        e164,
        e164[1:],
        "00" + e164[1:],
        phonenumbers.format_number(number, fmt.INTERNATIONAL),
        phonenumbers.format_number(number, fmt.NATIONAL),
        phonenumbers.format_number(number, fmt.NATIONAL).replace(" ", "-"),
    ]
    return str(rng.choice(spellings))


def test_mainland_numbers_agree() -> None:
    rng = random.Random(99)
    areas = ["10", "20", "21", "28", "29", "311", "431", "532", "571", "731", "755", "871", "991"]
    given: list[str] = []
    expected: list[str] = []
    while len(given) < ROWS:
        if rng.random() < 0.6:
            national = f"1{rng.randrange(3, 10)}{rng.randrange(10**9):09d}"
        else:
            area = rng.choice(areas)
            size = 8 if len(area) == 2 else rng.choice((7, 8))
            national = f"{area}{rng.randrange(2, 9)}{rng.randrange(10 ** (size - 1)):0{size - 1}d}"
        number = phonenumbers.parse(national, "CN")
        if not phonenumbers.is_valid_number(number):
            continue
        given.append(spelled(rng, number))
        expected.append(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))
    assert clean(pa.array(given), "phone").values.to_pylist() == expected


def test_random_digits_are_taken_wherever_the_oracle_takes_them() -> None:
    """Except its numbers of nine digits (95588, 010-10086), which belong to nobody."""
    rng = random.Random(5)
    given = ["".join(rng.choices(string.digits[1:], k=rng.randrange(8, 13))) for _ in range(ROWS)]
    found = clean(pa.array(given), "phone").values.to_pylist()
    agreed = 0
    for value, ours in zip(given, found, strict=True):
        try:
            number = phonenumbers.parse(value, "CN")
        except phonenumbers.NumberParseException:
            assert ours is None
            continue
        if phonenumbers.is_valid_number(number) and number.national_number >= 10**9:
            agreed += 1
            assert ours == phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    assert agreed > 100
    assert sum(value is None for value in found) > ROWS / 3


def test_numbers_from_abroad_agree() -> None:
    fmt = phonenumbers.PhoneNumberFormat
    types = phonenumbers.PhoneNumberType
    given, expected = [], []
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        if region == "CN":
            continue
        for kind in (types.MOBILE, types.FIXED_LINE):
            number = phonenumbers.example_number_for_type(region, kind)
            if number is None:
                continue
            e164 = phonenumbers.format_number(number, fmt.E164)
            given += [e164, phonenumbers.format_number(number, fmt.INTERNATIONAL), "00" + e164[1:]]
            expected += [e164] * 3
    found = clean(pa.array(given), "phone").values.to_pylist()
    assert len(given) > 1000
    assert [pair for pair in zip(expected, found, strict=True) if pair[0] != pair[1]] == []


@pytest.mark.parametrize(
    ("spelling", "region"),
    [("+44 (0)20 7946 0018", "GB"), ("+49 030 901820", "DE"), ("+61 02 9374 4000", "AU")],
)
def test_trunk_zero_goes_as_in_the_oracle(spelling: str, region: str) -> None:
    number = phonenumbers.parse(spelling, region)
    e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    assert clean(pa.array([spelling]), "phone").values.to_pylist() == [e164]
