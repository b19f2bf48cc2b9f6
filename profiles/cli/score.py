"""`fedprofile score`: rows scored by a model that was trained before."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from profiles.cli.options import Hub, Lang, Out, Overwrite, PassphraseFile, Quiet, Tables, Wait

if TYPE_CHECKING:
    from federated.scoring.model_file import ModelPart

__all__ = ["score"]


def score(
    what: Annotated[
        str, typer.Argument(help="A job file with [[score]]; or a model's id, or its task.")
    ],
    tables: Tables,
    out: Out,
    table: Annotated[
        str,
        typer.Option("--table", help="The receiver's logical table; without it the training's."),
    ] = "",
    fact: Annotated[
        list[str] | None,
        typer.Option(
            "--fact",
            help="A column of the receiver's to carry into the profiles, with a model; once for "
            "each. The first names the customer.",
        ),
    ] = None,
    top: Annotated[
        int,
        typer.Option(
            "--top",
            min=0,
            help="With a model: tell who is on a list of so many, one bit a row, and no score.",
        ),
    ] = 0,
    overwrite: Overwrite = False,
    hub: Hub = None,
    passphrase_file: PassphraseFile = None,
    wait: Wait = 24.0,
    quiet: Quiet = False,
    lang: Lang = "",
) -> None:
    """Score new or changed customers by a model of which each party has kept its part.

    Of a model a job file is written beside --tables, by its training's parties, keys, columns and
    language; change it there where something is another now, and name the file. Segments are those
    that the training made. What is told is what
    `fedprofile plan` says of that file.
    """
    from federated.cli.model import store_of
    from federated.scoring.card import more_told
    from federated.scoring.model_file import LABEL
    from federated.scoring.store import ModelStore
    from profiles.cli.run import check_lang, run
    from profiles.job import Job
    from profiles.model_outputs import ModelOutputs
    from profiles.score_job import receivers_part, score_job
    from psi.protocol import MisuseError

    check_lang(lang)  # before a file is written
    job = Path(what)
    if not job.is_file():
        if hub is None:
            part = receivers_part(tables.absolute().parent / "models", what)
        else:
            part = store_of(hub, None).find(what)
            if part.side != LABEL:
                raise MisuseError(
                    f"model {part.id}: {part.receiver} has the label, and asks for scores"
                )
        store = ModelStore(_folder(tables, part)) if hub is None else store_of(hub, None)
        if what == part.task and (others := store.others(part)):
            of = f"the last of {1 + len(others)} models of {what!r} is taken"
            typer.echo(f"{of}; others are {', '.join(others)}", err=True)
        said = ModelOutputs.read(store, part.id)
        beside = tables.absolute().parent
        lang_of, titles = ("", {}) if said is None else (said.lang, said.titles)
        job = score_job(part, beside, table, fact or (), lang_of, top, titles)
        says = f"a list of {top:,}" if top else "scores"
        typer.echo(f"{job}: {says} by model {part.id}{'' if top else more_told(part)}", err=True)
    elif table or fact or top:
        raise MisuseError(
            "--table, --fact and --top are for a model; a job file names its tables itself, facts "
            "in [profile] and lists in [[target]]"
        )
    elif not Job.load(job).scores:  # it would train again, and tell partners' rows again
        raise MisuseError(
            f"{job}: no [[score]] found, one needed",
            hint="fedprofile run runs any job; `fedprofile score MODEL` writes one that scores",
        )
    run(
        job=job,
        tables=tables,
        out=out,
        overwrite=overwrite,
        hub=hub,
        passphrase_file=passphrase_file,
        wait=wait,
        quiet=quiet,
        lang=lang,
    )


def _folder(tables: Path, part: ModelPart) -> Path:
    """Where runs on one machine keep a party's models; an only party's may be there themselves."""
    folder = tables.absolute().parent / "models"
    return folder / part.party if (folder / part.party).is_dir() else folder
