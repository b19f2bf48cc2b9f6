"""Where a command gets the passphrase of this party's keys: a file, the environment, a prompt."""

from __future__ import annotations

import os
from pathlib import Path

import typer

from federated.keys.keyfile import check_private
from psi.protocol import InputError, MisuseError

__all__ = ["PASSPHRASE_FILE", "passphrase"]

PASSPHRASE_FILE = "FEDPROFILE_PASSPHRASE_FILE"  # noqa: S105
SHORTEST = 8


def passphrase(file: Path | None, *, new: bool = False) -> bytes:
    """The passphrase from `file`, from the file that FEDPROFILE_PASSPHRASE_FILE names, or typed.

    systemd hands over such a file by LoadCredential. Raises `MisuseError` where none can be had.
    """
    named = file or (Path(os.environ[PASSPHRASE_FILE]) if PASSPHRASE_FILE in os.environ else None)
    if named is not None:
        check_private(named)
        text = named.read_text("utf-8").rstrip("\n")
    elif os.isatty(0):
        text = str(typer.prompt("passphrase", hide_input=True, confirmation_prompt=new))
    else:
        raise MisuseError(
            "no passphrase for this party's keys",
            hint=f"give --passphrase-file, or set {PASSPHRASE_FILE}",
        )
    if len(text) < SHORTEST:
        raise InputError(f"the passphrase has {len(text)} characters, at least {SHORTEST} allowed")
    return text.encode()
