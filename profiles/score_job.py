"""The job file that scores by a kept model, written from the receiver's part of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from federated.scoring.card import asked_of
from federated.scoring.model_file import LABEL, ModelPart
from federated.scoring.store import ModelStore
from federated.text import slug
from profiles.language import LANGUAGES
from psi.protocol import MisuseError

__all__ = ["job_text", "receivers_part", "score_job"]

_SHOWN = 6
"""Tasks that a refusal names."""


def receivers_part(folder: Path, named: str) -> ModelPart:
    """The receiver's part of a model, in a folder of models or in that of several parties.

    Args:
        folder: a party's folder of models, or one that holds such a folder for each party.
        named: a model's id, its beginning, or a task.

    Raises:
        MisuseError: there is none, or several.
    """
    found, folders = list[ModelPart](), [folder, *sorted(folder.glob("*/"))]
    for place in folders:
        try:
            part = ModelStore(place).find(named)
        except MisuseError:
            continue
        found += [part] if part.side == LABEL else []
    if not found:
        raise _none(folders, named)
    if len(found) > 1:
        raise MisuseError(
            f"{len(found)} models {named!r} of a receiver's found in {folder}, one needed",
            hint=f"fedprofile model ls --models {folder}/PARTY shows them",
        )
    return found[0]


def _none(folders: Sequence[Path], named: str) -> MisuseError:
    """What is kept where there is no such model, and why there may be none."""
    parts = [part for place in folders for part in ModelStore(place).parts()[0]]
    tasks = sorted({part.task for part in parts if part.side == LABEL})
    hint = "trainings with an offset keep no model"
    if not parts:
        return MisuseError(f"no model {named!r}: none is kept in {folders[0]}", hint=hint)
    if not tasks:
        hint = f"a partner's part scores nothing by itself; {hint}"
    has = ", ".join(tasks[:_SHOWN]) + ", …" * (len(tasks) > _SHOWN)
    which = f", which has those of {has}" * bool(tasks)
    return MisuseError(f"no model {named!r} of a receiver's in {folders[0]}{which}", hint=hint)


def score_job(
    part: ModelPart,
    beside: Path,
    table: str = "",
    facts: Sequence[str] = (),
    lang: str = "",
    top: int = 0,
    titles: Mapping[str, str] = MappingProxyType({}),
) -> Path:
    """Write the job file beside tables.toml, unless it is there; where it is.

    Args:
        part: the receiver's.
        beside: the folder for it.
        table: the logical table of the receiver's rows; "" takes the training's.
        facts: columns of it to carry into the profiles; the first names the entity.
        lang: the language of the report; "" for English.
        top: how many are to be on a list that is told by one bit a row, in the place of scores; 0:
            scores are told.
        titles: what the report calls names.

    Raises:
        EnvironmentFailed: it cannot be written.
        MisuseError: another file of its name is there, or a list of a model that tells none.
    """
    from federated.store.files import write_atomic

    if top and part.boosted:
        raise MisuseError(
            f"a list by one bit a row of model {part.id}, which is of trees",
            hint="a regression tells lists; without --top rows get scores",
        )

    name = f"score-{slug(part.task)}-{part.id[:8]}" + f"-{slug(table)}" * bool(table)
    name += f"-top-{top}" * bool(top)
    path, text = beside / f"{name}.toml", job_text(part, table, facts, lang, top, titles)
    if path.exists() and path.read_text("utf-8") != text:
        raise MisuseError(
            f"{path} is there and says something else",
            hint="name it in the place of the model to run it as it is, or remove it",
        )
    write_atomic(path, text)
    return path


def job_text(
    part: ModelPart,
    table: str = "",
    facts: Sequence[str] = (),
    lang: str = "",
    top: int = 0,
    titles: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """A whole job file: parties, keys, columns and alignment of the training, and `[[score]]`.

    With `top` who is on a list of so many is told, and no score.
    """
    about: dict[str, Any] = {
        "name": f"score {part.task}",
        "purpose": part.purpose,
        "entity": part.entity,
    }
    if part.purpose_class:
        about["purpose_class"] = part.purpose_class
    if lang not in ("", LANGUAGES[0]):
        about["lang"] = lang
    if titles:
        about["titles"] = dict(titles)
    lines = ["[job]", *_said(about | {"receiver": part.receiver})]
    for each in part.brought:
        own = table if table and each.party == part.receiver else each.table
        said = {"name": each.party, "table": own, "keys": each.keys, "features": each.features}
        lines += ["", "[[party]]", *_said(said)]
    kinds = {"kinds": part.of(part.receiver).kinds}
    lines += ["", "[align]", *_said(dict(part.align) | {"protocol": "auto"} | kinds)]
    if facts:
        lines += ["", "[profile]", *_said({"facts": list(facts)})]
    asked = {"score_bits": 0} if top else asked_of(part)
    lines += ["", "[[score]]", *_said({"task": part.task, "model": part.id} | asked)]
    if top:
        listed = {"product": part.task, "task": part.task, "top": top, "tells": "list"}
        lines += ["", "[[target]]", *_said(listed)]
    return "\n".join(lines) + "\n"


def _said(values: dict[str, Any]) -> list[str]:
    """Texts, whole numbers and lists of texts are written in TOML as in JSON; tables of texts
    with `=`."""
    return [f"{key} = {_toml(value)}" for key, value in values.items()]


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{_toml(key)} = {_toml(one)}' for key, one in value.items())} }}"
    return json.dumps(value, ensure_ascii=False)
