"""A fitted part as bytes: versioned JSON, which nothing runs when it is read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from federated.models.model import Model, Part
from psi.protocol import MisuseError

__all__ = ["load_part", "save_part"]

FORMAT, VERSION = "fedprofile model", 1


def save_part(model: Model, part: Part, about: Mapping[str, Any]) -> bytes:
    """JSON of a part; a number that is read again is the same to the last bit.

    Args:
        model: what it is a part of.
        part: of a fit.
        about: whatever else is to stand with it: numbers, texts, lists and objects.
    """
    whole = {
        "format": FORMAT,
        "version": VERSION,
        "model": model.name,
        "part": part.plain(),
        "about": dict(about),
    }
    return json.dumps(whole, indent=1, allow_nan=False).encode("utf-8")


def load_part(data: bytes, models: Mapping[str, Model]) -> tuple[Model, Part, dict[str, Any]]:
    """The model, the part, and what stands with it.

    Args:
        data: what `save_part` wrote.
        models: those that are known, by name.

    Raises:
        MisuseError: it is no saved model, of another version, or of a model that is not known.
    """
    try:
        whole = json.loads(data.decode("utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
        raise MisuseError("this is no saved model") from None
    keys = {"format", "version", "model", "part", "about"}
    if not isinstance(whole, dict) or whole.get("format") != FORMAT:
        raise MisuseError("this is no saved model")
    if whole.get("version") != VERSION:
        found = whole.get("version")
        raise MisuseError(
            f"saved model of version {found if type(found) is int else 'unknown'} found, "
            f"{VERSION} is read here",
            hint="read it with the version of this software that saved it",
        )
    name = whole.get("model")
    if set(whole) != keys or not isinstance(name, str) or not isinstance(whole["about"], dict):
        raise MisuseError("this is no saved model")
    if name not in models:
        raise MisuseError(f"a saved model of an unknown kind, allowed: {', '.join(models)}")
    if not isinstance(whole["part"], dict):
        raise MisuseError("this is no saved model")
    model = models[name]
    return model, model.part_of(whole["part"]), whole["about"]
