"""Identifiers of fictitious people and companies, and the mess that real files make of them."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["credit_codes", "identity_numbers", "names", "phones", "untidy"]

Rng = np.random.Generator
Texts = np.ndarray[Any, np.dtype[np.object_]]

_PROVINCES = ("110101", "310104", "320102", "330106", "440305", "500103", "510104", "610113")
_IDENTITY_WEIGHTS = np.array([7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2])
_CREDIT_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_CREDIT_WEIGHTS = np.array([1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28])
_SURNAMES = "赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨朱秦尤许何吕施张孔曹严华金魏陶姜"
_GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉兰鹏辉宇欣"
_FULL_WIDTH = str.maketrans("0123456789X", "０１２３４５６７８９Ｘ")


def identity_numbers(rng: Rng, count: int) -> Texts:
    """18-character identity numbers with a valid date and check character (GB 11643)."""
    region = rng.choice(_PROVINCES, count)
    days = rng.integers(0, 365 * 55, count)
    date = np.datetime_as_string(np.datetime64("1948-01-01") + days, unit="D")
    found = set()
    out = np.empty(count, object)
    for row in range(count):
        while True:
            body = region[row] + date[row].replace("-", "") + f"{rng.integers(1, 999):03d}"
            if body not in found:
                break
        found.add(body)
        total = int((np.frombuffer(body.encode(), np.uint8) - 48) @ _IDENTITY_WEIGHTS)
        out[row] = body + "10X98765432"[total % 11]
    return out


def credit_codes(rng: Rng, count: int, department: str = "91") -> Texts:
    """18-character unified social credit codes with a valid check character (GB 32100).

    `department` is the registering department and kind: 91 a company, 11 a public body.
    """
    serial = rng.choice(10**8, count, replace=False)
    out = np.empty(count, object)
    for row in range(count):
        body = f"{department}{rng.choice(_PROVINCES)}MA{serial[row]:08d}"[:17]
        body = body[:8] + f"{serial[row]:09d}"
        values = np.array([_CREDIT_ALPHABET.index(c) for c in body])
        out[row] = body + _CREDIT_ALPHABET[(31 - int(values @ _CREDIT_WEIGHTS) % 31) % 31]
    return out


def phones(rng: Rng, count: int) -> Texts:
    """Distinct mainland mobile numbers."""
    tails = rng.choice(10**8, count, replace=False)
    prefix = rng.choice(["138", "139", "150", "186", "189"], count)
    return np.array([f"{p}{t:08d}" for p, t in zip(prefix, tails, strict=True)], object)


def names(rng: Rng, count: int) -> Texts:
    """Fictitious personal names; many people share one."""
    first = rng.choice(list(_SURNAMES), count)
    second, third = rng.choice(list(_GIVEN), count), rng.choice([*list(_GIVEN), "", ""], count)
    return np.array(["".join(t) for t in zip(first, second, third, strict=True)], object)


def untidy(rng: Rng, values: Texts, *, missing: float, wrong: float, prefix: str = "") -> Texts:
    """The same identifiers as a branch would type them.

    Some in full-width digits, with spaces or hyphens, in lower case or with a country prefix;
    a share `missing` is null, a share `wrong` has a changed digit.
    """
    out = values.copy()
    kind = rng.random(len(values))
    for row in np.flatnonzero(kind < 0.35):
        text = out[row]
        if kind[row] < 0.08:
            out[row] = text.translate(_FULL_WIDTH)
        elif kind[row] < 0.18:
            out[row] = f"{text[:6]} {text[6:14]} {text[14:]}".strip()
        elif kind[row] < 0.25:
            out[row] = f"{prefix}{text}" if prefix else text.lower()
        else:
            out[row] = f" {text} "
    for row in np.flatnonzero(rng.random(len(values)) < wrong):
        text = values[row]
        place = 8 + int(rng.integers(0, 3))
        out[row] = text[:place] + str((int(text[place]) + 1) % 10) + text[place + 1 :]
    out[rng.random(len(values)) < missing] = None
    return out
