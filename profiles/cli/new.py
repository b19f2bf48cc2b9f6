"""`fedprofile new`: a job to begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from federated.cli.group import Group

__all__ = ["app"]

app = typer.Typer(cls=Group, help="A job to begin with.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    pass


@app.command()
def job(
    out: Annotated[Path, typer.Option("--out", help="A folder, which is made.")],
    template: Annotated[
        str,
        typer.Option(
            "--template",
            help="consumer-churn, credit-risk, payroll-company, merchant-fee-relief, "
            "government-unit or company-supply-chain.",
        ),
    ],
    lang: Annotated[
        str,
        typer.Option("--lang", help="Of job, tables, page and report: en or zh; English without."),
    ] = "",
) -> None:
    """Leave a whole job in a folder: invented tables, a policy for the partner, and the answer."""
    from profiles.cli.run import check_lang
    from profiles.language import LANGUAGES, language
    from profiles.templates import write_template

    check_lang(lang)
    write_template(template, out, lang or LANGUAGES[0])
    typer.echo(language(lang or LANGUAGES[0]).say("new.asks", out=out))
    typer.echo(f"  fedprofile plan {out}/job.toml --tables {out}/tables.toml")
    typer.echo(f"  fedprofile run {out}/job.toml --tables {out}/tables.toml --out {out}/out")
