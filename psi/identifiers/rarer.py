"""Kinds that python-stdnum and phonenumbers check: `stdnum:MODULE` and `phone:REGION`.

    stdnum:de.idnr   stdnum:iban   stdnum:fr.siren   stdnum:br.cpf   phone:DE   phone:BR

The clean value is what the module's `validate` returns; of a phone, its E.164 form. Both take 5 to
35 us a value in Python, so they run over distinct values only and say how far they are. Parties
that run other versions of these packages may clean a rare spelling differently: it then does not
match. A module is looked for inside python-stdnum alone, whatever a job names.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import re
from collections.abc import Callable
from difflib import get_close_matches
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from psi.identifiers import codes
from psi.identifiers.columns import fold_wide
from psi.identifiers.text import Parsed
from psi.protocol import EnvironmentFailed, MisuseError, Share, not_installed

__all__ = ["PREFIXES", "Check", "Progress", "checker", "over_distinct"]

PREFIXES = ("stdnum:", "phone:")

Progress = Callable[[Share], None]
"""Told the share of the distinct values that is done, now and then."""

Check = Callable[[str], str | int]
"""The clean identifier, or the state that says why there is none."""

_MODULE = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)?")
_EVERY = 4096


def checker(kind: str) -> Check:
    """The function of one such kind.

    Raises:
        MisuseError: no such module or region.
        EnvironmentFailed: the package is not installed.
    """
    prefix, _, name = kind.partition(":")
    return _stdnum(name) if prefix == "stdnum" else _phone(name)


def over_distinct(check: Check, given: pa.Array, progress: Progress | None) -> Parsed:
    """Check each distinct value once: `(values, failed)` as the Arrow expressions give them."""
    folded, _ = fold_wide(given)
    pairs = pc.dictionary_encode(folded)
    values: list[str | None] = []
    failed = np.zeros(len(pairs.dictionary), np.uint8)
    for place, text in enumerate(pairs.dictionary.to_pylist()):
        found = _vetted(text) or check(text)
        values.append(found if isinstance(found, str) else None)
        failed[place] = 0 if isinstance(found, str) else found
        if progress and place % _EVERY == 0:
            progress(Share(place / len(failed), len(failed)))
    indices = pairs.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    states = np.append(failed, np.uint8(0))[indices]
    return pa.array(values, pa.large_string()).take(pairs.indices), states


def _vetted(text: str) -> int:
    if not text.strip():
        return codes.EMPTY
    return codes.MASKED if "*" in text else 0


def _missing(package: str) -> EnvironmentFailed:
    return not_installed("this kind of identifier", package, "fedprofile[identifiers]")


def _stdnum(name: str) -> Check:
    try:
        package: Any = importlib.import_module("stdnum")
        errors: Any = importlib.import_module("stdnum.exceptions")
    except ImportError:
        raise _missing("python-stdnum") from None
    there = _MODULE.fullmatch(name) and importlib.util.find_spec(
        f"stdnum.{name}".rpartition(".")[0]
    )
    module: Any = None
    if there and importlib.util.find_spec(f"stdnum.{name}"):
        module = importlib.import_module(f"stdnum.{name}")
    validate = getattr(module, "validate", None)
    if validate is None or not hasattr(module, "compact"):
        every = [m.name.removeprefix("stdnum.") for m in _modules(package)]
        near = get_close_matches(name, every, n=1)
        raise MisuseError(
            f"found identifier kind {'stdnum:' + name!r}, allowed: a module of python-stdnum, such "
            "as stdnum:iban or stdnum:de.idnr",
            hint=f"did you mean stdnum:{near[0]}?" if near else "",
        )
    states = {
        errors.InvalidLength: codes.WRONG_LENGTH,
        errors.InvalidChecksum: codes.WRONG_CHECKSUM,
        errors.InvalidFormat: codes.WRONG_FORMAT,
    }

    def check(text: str) -> str | int:
        try:
            return str(validate(text))
        except errors.ValidationError as error:
            return states.get(type(error), codes.WRONG_FORMAT)

    return check


def _modules(package: Any) -> list[pkgutil.ModuleInfo]:
    """The modules of python-stdnum and of its countries."""
    found: list[pkgutil.ModuleInfo] = []
    for module in pkgutil.iter_modules(package.__path__, "stdnum."):
        if module.ispkg:
            places = [f"{path}/{module.name.rpartition('.')[2]}" for path in package.__path__]
            found += pkgutil.iter_modules(places, module.name + ".")
        else:
            found.append(module)
    return found


def _phone(region: str) -> Check:
    try:
        phones: Any = importlib.import_module("phonenumbers")
    except ImportError:
        raise _missing("phonenumbers") from None
    if region not in phones.SUPPORTED_REGIONS:
        raise MisuseError(
            f"found identifier kind {'phone:' + region!r}, allowed: a region of ISO 3166, such as "
            "phone:DE",
            hint="the region is that of numbers without a country code",
        )
    wrong = phones.NumberParseException
    states = {
        wrong.INVALID_COUNTRY_CODE: codes.UNKNOWN_PREFIX,
        wrong.NOT_A_NUMBER: codes.BAD_CHARACTER,
    }

    def check(text: str) -> str | int:
        try:
            number = phones.parse(text, region)
        except wrong as error:
            return states.get(error.error_type, codes.WRONG_LENGTH)
        if number.extension:
            return codes.BAD_CHARACTER  # as for `phone`: two people may share a switchboard
        if not phones.is_possible_number(number):
            return codes.WRONG_LENGTH
        if not phones.is_valid_number(number):
            return codes.UNKNOWN_PREFIX
        return str(phones.format_number(number, phones.PhoneNumberFormat.E164))

    return check
