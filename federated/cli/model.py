"""`fedprofile model`: a party's own parts of trained models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from federated.cli.group import Group
from federated.cli.model_release import party_home, release, released_words

if TYPE_CHECKING:
    from federated.scoring.model_file import ModelPart
    from federated.scoring.store import ModelStore

__all__ = ["app", "store_of"]

app = typer.Typer(
    cls=Group,
    help="This party's own parts of trained models: what they are, their numbers, as files.",
    no_args_is_help=True,
)

Home = Annotated[
    Path | None,
    typer.Option("--home", help="The folder of this party's node or hub."),
]
Models = Annotated[
    Path | None,
    typer.Option(
        "--models", help="A party's folder of models instead: models/PARTY beside tables.toml."
    ),
]
BELOW: list[Callable[[ModelStore, str], tuple[Sequence[str], list[Sequence[str]]] | None]] = []
"""What a package above this one keeps beside a model: heads and rows that `show` prints last."""


def store_of(home: Path | None, models: Path | None) -> ModelStore:
    """The models of a node's or hub's folder, or those in a folder itself.

    Raises:
        InputError: no party's folder.
        MisuseError: both are given.
    """
    from federated.scoring.store import ModelStore
    from psi.protocol import InputError, MisuseError

    if home is not None and models is not None:
        raise MisuseError("--home and --models found, one of them allowed")
    if models is not None:
        if not models.is_dir():
            raise InputError(
                f"{models}: no folder of models",
                hint="a run on one machine keeps models/PARTY beside its tables.toml",
            )
        return ModelStore(models)
    return ModelStore(party_home(home).models)


@app.command("ls")
def ls(
    home: Home = None,
    models: Models = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """List the models of which this party keeps a part, the last one first."""
    import json

    from federated.cli.lists import print_rows

    store = store_of(home, models)
    parts, wrong = store.parts()
    if as_json:
        typer.echo(json.dumps([_head(part) for part in parts], indent=1, ensure_ascii=False))
    else:
        heads = ("model", "task", "kind", "part", "receiver", "partners", "trained", "AUC", "hash")
        rows = [tuple(str(value) for value in _head(part).values()) for part in parts]
        print_rows(heads, rows)
    for name in wrong:
        typer.echo(f"model {name} cannot be read here: `fedprofile model show {name}`", err=True)


@app.command("show")
def show(
    model: Annotated[str, typer.Argument(help="A model's id, its beginning, or a task.")],
    home: Home = None,
    models: Models = None,
) -> None:
    """Print a model's card, who has released it, what own columns weigh, own numbers, segments."""
    from federated.cli.lists import print_rows
    from federated.scoring.card import card, importance, numbers

    store = store_of(home, models)
    part = store.find(model)
    lines = card(part)
    if models is None:
        lines.append(("released", released_words(party_home(home), part)))
    print_rows(("", ""), lines, longest=2000)
    typer.echo()
    print_rows(("column", "weighs"), [(name, f"{size:.4g}") for name, size in importance(part)])
    typer.echo()
    print_rows(*numbers(part))
    for kept in filter(None, (below(store, part.id) for below in BELOW)):
        typer.echo()
        print_rows(*kept)


@app.command("export")
def export(
    model: Annotated[str, typer.Argument(help="A model's id, its beginning, or a task.")],
    out: Annotated[Path, typer.Option("--out", help="FILE.json, or FILE.csv for the numbers.")],
    home: Home = None,
    models: Models = None,
) -> None:
    """Write a model's card and this party's own numbers to a file (mode 0600).

    They hold means, edges and names of categories of this party's table: they are for its own eyes.
    """
    from federated.store.files import write_atomic
    from psi.protocol import MisuseError

    part = store_of(home, models).find(model)
    if out.suffix not in (".json", ".csv"):
        raise MisuseError(f"{out.name} found, a name that ends in .json or .csv allowed")
    write_atomic(out, _json(part) if out.suffix == ".json" else _csv(part))
    typer.echo(f"{out}: model {part.id}")


@app.command("rm")
def rm(
    model: Annotated[
        list[str],
        typer.Argument(help="Models' ids, or their beginnings; a task, where it has one model."),
    ],
    home: Home = None,
    models: Models = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would go, and change nothing.")
    ] = False,
) -> None:
    """Remove this party's part of models: nobody scores rows of its tables by them any more.

    Its releases go with it. The other parties keep their parts, and a backup has what was kept
    then. What trainings and scorings have told stays in ledgers, and counted. There is no way back.
    """
    from federated.approval.released import remove_releases

    store = store_of(home, models)
    going = list(dict.fromkeys(store.the_only(named) for named in model))  # all, or none
    lines = [_gone(store, name) for name in going]
    for name, line in zip(going, lines, strict=True):
        if not dry_run:
            if models is None:
                remove_releases(party_home(home).path, name)
            store.remove(name)
        typer.echo(f"{line}: {'would be removed' if dry_run else 'removed'}")


app.command("release")(release)


def _gone(store: ModelStore, name: str) -> str:
    """What a model is; one that cannot be read is to go all the same."""
    from psi.protocol import FedprofileError

    try:
        part = store.read(name)
    except FedprofileError:
        return f"model {name}, which cannot be read here"
    about = _head(part)
    of = " and ".join(each for each in (part.receiver, *part.partners) if each != part.party)
    return f"model {name} of '{part.task}' with {of}, trained {about['trained']}"


def _head(part: ModelPart) -> dict[str, Any]:
    from datetime import UTC, datetime

    return {
        "model": part.id,
        "task": part.task,
        "kind": part.model,
        "part": part.side,
        "receiver": part.receiver,
        "partners": ", ".join(part.partners),
        "trained": datetime.fromtimestamp(part.made, UTC).strftime("%Y-%m-%d"),
        "auc": part.card.get("auc", ""),
        "hash": part.digest[:16],
    }


def _json(part: ModelPart) -> str:
    import json

    from federated.scoring.card import card, importance
    from federated.scoring.exported import card_scale, exported

    heads, rows = exported(part)
    whole = {
        **_head(part),
        "party": part.party,
        "hash": part.digest,
        "run": part.run,
        "card": dict(card(part)),
        "measured": dict(part.card),
        "columns": dict(part.types),
        "importance": dict(importance(part)),
        "numbers": [dict(zip(heads, row, strict=True)) for row in rows],
        **card_scale(part),
        "drift": part.spread.plain(),  # other bins than a card's: how rows lay in training
    }
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def _csv(part: ModelPart) -> str:
    import csv
    import io

    from federated.scoring.exported import exported

    text = io.StringIO()
    heads, rows = exported(part)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([heads, *rows])
    return text.getvalue()
