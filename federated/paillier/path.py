"""Which arithmetic path the vectors take; see psi.kernels.montgomery for their names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from psi.kernels.montgomery import best_path

__all__ = ["current_path", "use_path"]

_override: ContextVar[str | None] = ContextVar("paillier_path", default=None)


def current_path() -> str:
    """The path in use: an override, or what this machine's CPU runs best."""
    return _override.get() or best_path()


@contextmanager
def use_path(path: str) -> Iterator[None]:
    """Force a path for the block, for tests and benchmarks."""
    token = _override.set(path)
    try:
        yield
    finally:
        _override.reset(token)
