"""`fedprofile flows`: what a bank's own transactions say."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import click
import typer

from federated.cli.group import Group
from profiles.cli import flow_labels, flow_links, flow_money, flow_views
from profiles.cli.flow_options import Lang, Memory, Name, Tables, Threads
from profiles.cli.flow_rows import say_notes, typed_rows
from psi.protocol import EnvironmentFailed, InputError

if TYPE_CHECKING:
    from profiles.flows.flows import Flows

_ENGINES = ("duckdb", "_duckdb", "psycopg", "pyspark", "py4j", "pyarrow", "ibis")


def _is_full(error: Exception) -> bool:
    """Whether an embedded DuckDB had no memory left, or its disk no room for what was over."""
    name = type(error).__name__
    return name == "OutOfMemoryException" or (name == "IOException" and "No space" in str(error))


class Engine(Group):
    """A group of commands that ask an engine, whose errors may quote a value: its class is told."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except Exception as error:
            from federated.readers.database_errors import reason

            engine = type(error).__module__.split(".")[0]
            if engine not in _ENGINES:
                raise
            if _is_full(error):
                raise EnvironmentFailed(
                    "the engine ran out of memory, or of room for what does not fit into it",
                    hint="give more by --memory, or fewer --threads; see that the folder that "
                    "TMPDIR names has room; or cut tables by entities (docs/SCALE.md)",
                ) from None
            why, hint = reason(error) if engine == "psycopg" else ("", "")
            raise InputError(
                f"the tables cannot be worked through ({why or type(error).__name__})",
                hint=hint or "fedprofile flows check says what is understood of them",
            ) from None


app = typer.Typer(
    cls=Engine, help="Type transactions and see where money comes from and goes.",
    no_args_is_help=True,
)  # fmt: skip
taxonomy = typer.Typer(cls=Group, help="See, check and compare the types of flows.")
app.add_typer(taxonomy, name="taxonomy")
app.command("map")(flow_money.map_)
app.command("report")(flow_money.report)
app.command("leaks")(flow_money.leaks)
app.command("breaks")(flow_money.breaks)
app.command("links")(flow_links.links)
app.command("score")(flow_money.score)
app.command("views")(flow_views.views)
app.command("labels")(flow_labels.labels)

Json = Annotated[bool, typer.Option("--json", help="For programs.")]
Layers = Annotated[
    list[Path] | None, typer.Option("--layer", help="A file of types over those of the wheel.")
]


@app.command()
def check(
    tables: Tables,
    flows: Name = "",
    as_json: Json = False,
    lang: Lang = "",
    threads: Threads = 0,
    memory: Memory = "",
) -> None:
    """Say what is understood of the tables, with counts, and what could not be read.

    Counts and sums only. Ends with exit code 4 where no row can be read.
    """
    import json

    from federated.text import plain
    from profiles.cli.run import check_lang
    from profiles.flows.check import check_flows
    from profiles.language import LANGUAGES, language

    check_lang(lang)
    opened = _opened(tables, flows, threads, memory)
    found = check_flows(opened)
    if as_json:
        typer.echo(json.dumps(found.as_dict(), indent=1))
    else:
        for line in found.lines(opened.settings.digits, language(lang or LANGUAGES[0])):
            typer.echo(plain(line, 1000))
    if not found.read:
        raise typer.Exit(4)


@app.command("type")
def type_(
    tables: Tables,
    flows: Name = "",
    out: Annotated[
        Path | None, typer.Option("--out", help="A Parquet file for the typed rows.")
    ] = None,
    lang: Lang = "",
    threads: Threads = 0,
    memory: Memory = "",
) -> None:
    """Give transactions their types: counts and sums a type, and what has no type yet.

    Counts and sums only; a text is shown where five entities have it. `--out` has all rows.
    """
    from profiles.cli.flow_shown import show_types
    from profiles.cli.run import check_lang
    from profiles.copies import ROWS, note_copy
    from profiles.flows.export import write_parquet
    from profiles.flows.money import money_notes
    from profiles.flows.summary import reversals, shares, type_table, untyped

    check_lang(lang)
    opened = _opened(tables, flows, threads, memory)
    say_notes(money_notes(opened), lang)
    if out is not None:
        written = write_parquet(typed_rows(opened, lang=lang), out)
        note_copy(tables.parent, ROWS, out)
        typer.echo(f"{out}: {written:,} rows")
    else:
        # the rest is not looked at
        looked_at = ("entity", "kind", "way", "minor", "text", "type", "known", "rule")
        typed = typed_rows(opened, *looked_at, lang=lang)
        rows = type_table(typed).to_pyarrow().to_pylist()
        texts = untyped(typed, opened.taxonomy)
        back = reversals(typed, opened.taxonomy)
        show_types(opened, lang, rows, shares(typed), texts, back)


@app.command()
def explain(
    transaction: Annotated[str, typer.Argument(help="The transaction's id.")],
    tables: Tables,
    flows: Name = "",
    lang: Lang = "",
) -> None:
    """Say why one transaction has its type: its text, and the rules and patterns that hold for it.

    The first rule decides. The text is the row's own: it is shown here and kept nowhere.
    """
    import re

    from federated.text import plain
    from profiles.cli.run import check_lang
    from profiles.flows.classify import holding
    from profiles.language import LANGUAGES, language
    from psi.protocol.errors import InputError

    check_lang(lang)
    t = language(lang or LANGUAGES[0])
    opened = _opened(tables, flows)
    row, rules = holding(opened.base, opened.taxonomy, transaction)
    if not row:
        rows = opened.base.rows
        lost = rows.filter(rows.id == transaction).select("refused").distinct().to_pyarrow()
        why = f": left out ({', '.join(sorted(lost['refused'].to_pylist()))})" if len(lost) else ""
        raise InputError(
            f"{opened.settings.where}: no readable row has this id{why}",
            hint="fedprofile flows check counts those that are left out; with several sources an "
            "id is TABLE/ID",
        )
    typer.echo(t.say("flows.explain_version", version=opened.taxonomy.version))
    for what, said in (("text", row["text"]), ("counterparty", row["counterparty_name"])):
        if said:
            typer.echo(plain(t.say(f"flows.explain_{what}", said=said), 300))
    if not rules:
        typer.echo(t.say("flows.explain_none"))
    for i, rule in enumerate(rules):
        asked = ", ".join(rule.asked)
        looked = ((rule.text, row["plain"]), (rule.name, row["plain_name"]))
        found = [
            repr(one.strip())
            for patterns, text in looked
            for one in patterns or ()
            if text and re.search(one, text)
        ]
        line = t.say(
            "flows.explain_rule",
            type=rule.type,
            rule=repr(rule.id),
            priority=rule.priority,
            by=f"{asked} ({', '.join(found)})" if found else asked,
        )
        typer.echo(plain(line if i else f"{line} {t.say('flows.explain_first')}", 500))


@taxonomy.callback(invoke_without_command=True)
def show(
    context: typer.Context,
    layer: Layers = None,
    diff: Annotated[
        Path | None, typer.Option("--diff", help="Show what this layer would change.")
    ] = None,
) -> None:
    """List the types of flows: code, way, purpose group, names."""
    from federated.text import plain
    from profiles.flows.taxonomy import Taxonomy

    if context.invoked_subcommand:
        return
    found = Taxonomy.load(layer or [])
    if diff is not None:
        for line in found.differences(Taxonomy.load([*(layer or []), diff])):
            typer.echo(plain(line, 1000))
        return
    typer.echo(f"version {found.version}, {len(found)} types, {len(found.rules)} rules")
    for one in found:
        shown = "" if one.seen else "  (not seen in real data)"
        typer.echo(
            plain(
                f"{one.code:<26} {one.way:<4} {one.group:<10} {one.english} {one.chinese}{shown}",
                300,
            )
        )


@taxonomy.command("check")
def check_types(layer: Layers = None) -> None:
    """Play each type's own texts through the typing, and look for rules that can never fire.

    Ends with exit code 3 where something is wrong.
    """
    from federated.text import plain
    from profiles.flows.examples import check_taxonomy
    from profiles.flows.taxonomy import Taxonomy

    found = check_taxonomy(Taxonomy.load(layer or []))
    for line in found.wrong:
        typer.echo(plain(line, 500))
    typer.echo(f"{found.texts} texts, {found.rules} rules, {len(found.wrong)} wrong")
    if found.wrong:
        raise typer.Exit(3)


def _opened(tables: Path, name: str, threads: int = 0, memory: str = "") -> Flows:
    from profiles.flows.flows import Flows

    return Flows.load(tables, name, threads=threads, memory=memory)
