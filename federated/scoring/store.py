"""A party's model parts: one sealed file each, written once.

models/ID        the part of a model, sealed (`federated.store.vault`)
models/ID.NOTE   what else its owner keeps of a model, sealed; contracts do not name it
models/key       opens them (0600)
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from pathlib import Path

from federated.scoring.model_file import ModelPart, is_id
from federated.store.files import check_room
from federated.store.vault import Vault
from psi.protocol import FedprofileError, InputError, MisuseError, Random

__all__ = ["ModelStore"]

_SHOWN = 6
"""Models of one task that a hint names."""


class ModelStore:
    """The models of one party in `folder`."""

    def __init__(self, folder: Path, random: Random = secrets.token_bytes) -> None:
        self._folder = folder
        self._vault = Vault(folder, "key", b"fedprofile models v1", random)

    def __repr__(self) -> str:
        return f"<models in {self._folder.name}>"

    def has(self, name: str) -> bool:
        """Whether there is a part of this model."""
        return is_id(name) and (self._folder / name).is_file()

    def check_place(self) -> None:
        """Raise `EnvironmentFailed` where nothing can be kept: known before anything is told."""
        check_room(self._folder, 1)

    def write(self, part: ModelPart) -> None:
        """Keep a part; what was kept of the same model stays as it is: contracts have its hash."""
        if self.has(part.id):
            return
        self._vault.write(part.id, part.to_bytes(), part.id.encode())

    def read(self, name: str) -> ModelPart:
        """The part of one model.

        Raises:
            MisuseError: there is none, or it is of another version.
            InputError: it was altered.
        """
        try:
            data = self._vault.read(name, name.encode()) if is_id(name) else None
        except InputError:
            raise InputError(
                f"model {name}: the part that is kept was altered, or is under another key",
                hint="bring the folder back from a copy, or train again",
            ) from None
        if data is None:
            raise MisuseError(
                f"no model {name!r} is kept here, {len(self.ids())} are",
                hint="fedprofile model ls shows them",
            )
        part = ModelPart.from_bytes(data)
        if part.id != name:
            raise InputError(f"model {name}: the file of another model lies here")
        return part

    def write_note(self, name: str, note: str, data: bytes) -> None:
        """Keep something beside a part, in the place of what was kept there by that name."""
        self._vault.write(f"{name}.{note}", data, f"{name}.{note}".encode())

    def read_note(self, name: str, note: str) -> bytes | None:
        """What is kept beside a part, None: nothing. Raises `InputError` if it was altered."""
        return self._vault.read(f"{name}.{note}", f"{name}.{note}".encode())

    def remove(self, name: str) -> None:
        """Forget a part, and what is kept beside it. Raises `MisuseError` where there is none."""
        if not self.has(name):
            raise MisuseError(f"no model {name!r} is kept here")
        for file in (*self._folder.glob(f"{name}.*"), self._folder / name):
            file.unlink()

    def ids(self) -> list[str]:
        """All that are kept."""
        return sorted(file.name for file in self._folder.glob("*") if is_id(file.name))

    def parts(self) -> tuple[list[ModelPart], list[str]]:
        """All parts, the last one first, and the names of those that cannot be read."""
        found, wrong = list[ModelPart](), list[str]()
        for name in self.ids():
            try:
                found.append(self.read(name))
            except FedprofileError:
                wrong.append(name)
        return sorted(found, key=lambda part: -part.made), wrong

    def find(self, named: str) -> ModelPart:
        """The model of this name: its id, the beginning of it, or the last one of a task.

        Raises:
            MisuseError: none, or several.
        """
        begun = self._begun(named)
        return self.read(begun) if begun else self._of_task(named)[0]

    def the_only(self, named: str) -> str:
        """The id that this name means, whether its file can be read or not.

        As `find`, but of a task only where one model is kept of it: for what cannot be undone.
        Raises `MisuseError`.
        """
        begun = self._begun(named)
        if begun:
            return begun
        of_task = self._of_task(named)
        if len(of_task) > 1:
            raise MisuseError(
                f"{len(of_task)} models of {named!r} are kept here, name one by its id",
                hint=", ".join(f"{part.id} trained {_day(part)}" for part in of_task[:_SHOWN]),
            )
        return of_task[0].id

    def others(self, part: ModelPart) -> list[str]:
        """The other models that are kept of the same task, the last one first, each in words: its
        id, kind, day and AUC.
        """
        found = [one for one in self.parts()[0] if one.task == part.task and one.id != part.id]
        return [f"{one.id} ({one.model}) trained {_day(one)}{_auc(one)}" for one in found]

    def _begun(self, named: str) -> str:
        """The id, or that of which it is the beginning; empty: it is neither."""
        begun = [one for one in self.ids() if named and one.startswith(named)]
        if len(begun) > 1:
            raise MisuseError(
                f"{len(begun)} models begin with {named!r}", hint="fedprofile model ls"
            )
        return begun[0] if begun else ""

    def _of_task(self, named: str) -> list[ModelPart]:
        of_task = [part for part in self.parts()[0] if part.task == named]
        if not of_task:
            raise MisuseError(
                f"no model or task {named!r} is kept here, {len(self.ids())} models are",
                hint="fedprofile model ls shows them",
            )
        return of_task


def _auc(part: ModelPart) -> str:
    return f", AUC {part.card['auc']:.3f}" if "auc" in part.card else ""


def _day(part: ModelPart) -> str:
    return datetime.fromtimestamp(part.made, UTC).strftime("%Y-%m-%d")
