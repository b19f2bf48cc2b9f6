"""What this machine and this protocol cannot do, said before anything is sent."""

from __future__ import annotations

from psi.kernels.simd import block_path
from psi.protocol import MisuseError

__all__ = ["LARGEST_PORTABLE", "REVEALS", "check_path", "runs_here"]

REVEALS = ("receiver", "both")
"""A count alone would tell the receiver which tags match: ECDH can shuffle, this cannot."""
LARGEST_PORTABLE = 1 << 17
"""Items on a CPU without AES and carry-less products."""


def runs_here(items: int) -> bool:
    """Whether this machine's processor can take part with so many items."""
    return block_path() != "portable" or items <= LARGEST_PORTABLE


def check_path(items: int, reveal: str, name: str = "vole") -> None:
    """Raise `MisuseError` where another protocol has to be taken."""
    if reveal not in REVEALS:
        raise MisuseError(
            f"reveal {reveal!r} found, {' or '.join(REVEALS)} allowed with the protocol {name}",
            hint='take protocol = "ecdh"',
        )
    if not runs_here(items):
        raise MisuseError(
            f"{items} items found, at most {LARGEST_PORTABLE} allowed with the protocol {name} on "
            "a CPU without AES and carry-less multiplication",
            hint='take protocol = "ecdh"',
        )
