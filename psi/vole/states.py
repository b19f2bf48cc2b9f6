"""The states of both roles: what a role at rest is made again from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from psi.protocol import Length, message
from psi.vole.base_ot import KEY as TRANSFERRED
from psi.vole.extension import BASE
from psi.vole.messages import Coin, Size
from psi.vole.secrets import KEY

__all__ = ["SECRET", "Opened", "Receiving", "Sending", "Waiting"]

SECRET = BASE // 8
"""Bytes of the sender's secret of transfers, and of Δ."""


@message(0x3C)
@dataclass(frozen=True)
class Opened:
    """Receiver: its part of the coin, and its secret of the base transfers with its point."""

    coin: Coin
    secret: Annotated[bytes, Length(32)]
    point: Annotated[bytes, Length(32)]


@message(0x3D)
@dataclass(frozen=True, kw_only=True)
class Receiving:
    """Receiver: the coin, keys of the base transfers, the seed of its noise; what came so far."""

    coin: Coin
    keys: Annotated[bytes, Length(4 * BASE * TRANSFERRED)]
    seed: Annotated[bytes, Length(KEY)]
    size_peer: Size
    chunk: Size
    tagged: Size
    parts: Size


@message(0x3E)
@dataclass(frozen=True)
class Waiting:
    """Sender: nothing came yet."""


@message(0x3F)
@dataclass(frozen=True, kw_only=True)
class Sending:
    """Sender: what it drew and was given; what came and went so far.

    `coin` is its own part until `committed` is empty, and the session's then.
    """

    size_peer: Size
    committed: Annotated[bytes, Length(KEY)]
    coin: Coin
    secrets: Annotated[bytes, Length(2 * SECRET)]
    keys: Annotated[bytes, Length(2 * BASE * TRANSFERRED)]
    seed: Annotated[bytes, Length(KEY)]
    extended: Size
    parts: Size
    tagged: Size
    reported: Size
