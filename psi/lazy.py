"""A package's public names, imported when they are asked for.

A command that only prints its help then waits for none of them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any

__all__ = ["handed_out", "listed"]


def handed_out(package: str, where: Mapping[str, str]) -> Callable[[str], Any]:
    """A package's `__getattr__`.

    Args:
        package: its name.
        where: the module of each name that it hands out.
    """

    def found(name: str) -> Any:
        if name not in where:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(where[name]), name)

    return found


def listed(package: str) -> Callable[[], list[str]]:
    """A package's `__dir__`: its public names, loaded or not, and the modules that are.

    So `dir` and a notebook's completion show all of them, and load none.

    Args:
        package: its name.
    """

    def names() -> list[str]:
        known = vars(sys.modules[package])
        there = (n for n in known if n.startswith("__") or isinstance(known[n], ModuleType))
        return sorted({*known["__all__"], *there})

    return names
