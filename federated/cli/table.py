"""`fedprofile node table`: binds logical tables to files and databases; what columns are for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from federated.cli.group import Group

app = typer.Typer(
    cls=Group,
    help="This party's tables: where they are, and what each column may be used for.",
    no_args_is_help=True,
)

Home = Annotated[Path, typer.Option("--home", help="The node's folder.")]
HOME = Path("fedprofile-node")
Name = Annotated[str, typer.Argument(help="What jobs call it: people means PARTY.people.")]
Pairs = Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE")]


@app.command()
def add(
    name: Name,
    key: Annotated[
        list[str], typer.Option("--key", help="A column that jobs may match by; repeat for more.")
    ],
    path: Annotated[Path | None, typer.Option("--path", help="A CSV or Parquet file.")] = None,
    connection: Annotated[
        str,
        typer.Option(
            "--connection",
            help="A database that Ibis opens: duckdb:///FILE, or "
            "postgres://USER:${PASSWORD}@HOST/DATABASE with the password in the environment.",
        ),
    ] = "",
    table: Annotated[str, typer.Option("--table", help="The table in the database.")] = "",
    column: Annotated[
        list[str] | None,
        typer.Option(
            "--column",
            metavar="NAME=USE",
            help="never, aggregate, feature or label: the most a column may be used for. Columns "
            "that are not named are used as the policy says, by default never.",
        ),
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            "--kind", metavar="NAME=KIND", help="What identifier a key is, for `preflight`."
        ),
    ] = None,
    text: Annotated[
        list[str] | None, typer.Option("--text", help="A column to read as text.")
    ] = None,
    encoding: Annotated[str, typer.Option("--encoding", help="Of a CSV file: gbk, say.")] = "",
    delimiter: Annotated[str, typer.Option("--delimiter", help="Of a CSV file.")] = "",
    null: Annotated[
        list[str] | None, typer.Option("--null", help="A text that means missing.")
    ] = None,
    decimal: Annotated[str, typer.Option("--decimal", help="The mark before a fraction.")] = "",
    thousands: Annotated[str, typer.Option("--thousands", help="The mark in 1,234.")] = "",
    as_type: Annotated[
        list[str] | None,
        typer.Option(
            "--type",
            metavar="NAME=TYPE",
            help="What a column is: string, number, percent, money, uuid or hex.",
        ),
    ] = None,
    entity: Annotated[
        str,
        typer.Option(
            "--entity",
            help="Whom it is about. A table of company or government holds no natural persons, "
            "whose rows need a lawful basis at a new node.",
        ),
    ] = "",
    basis: Annotated[
        list[str] | None,
        typer.Option(
            "--basis",
            metavar="NAME=COLUMN",
            help="By which table's rows its own are admitted to jobs: table=consents, of=id_no, "
            "purpose=purpose, and what else tables.toml takes under basis.",
        ),
    ] = None,
    data_class: Annotated[
        str,
        typer.Option(
            "--data-class", help="bureau or sensitive: a policy lets such data serve some purposes."
        ),
    ] = "",
    replace: Annotated[bool, typer.Option("--replace", help="Bind a bound name anew.")] = False,
    home: Home = HOME,
) -> None:
    """Bind a table, after opening it and looking at its keys; a running node knows it at once.

    Nothing is copied: tables.toml gets where it is, its keys, and what columns are for. Only counts
    are shown, never a value.

    \b
        fedprofile node table add people --path /data/people.parquet --key id_no
            --column open_loans=feature --column income=never
    """
    import shlex

    from federated.cli.lists import padded
    from federated.node.home import NodeHome, frozen_columns
    from federated.tables.bindings import table_of
    from federated.tables.column_report import columns_taken
    from federated.tables.preflight import preflight
    from federated.tables.table_file import put_table, table_name
    from federated.text import plain

    place = NodeHome.open(home)
    whole = table_name(place.name, name)
    entry: dict[str, Any] = {
        "path": _path(path),
        "connection": connection,
        "table": table,
        "encoding": encoding,
        "delimiter": delimiter,
        "nulls": null or [],
        "keys": key,
        "kinds": _pairs("--kind", kind),
        "decimal": decimal,
        "thousands": thousands,
        "types": dict.fromkeys(text or [], "string") | _pairs("--type", as_type),
        "permissions": _pairs("--column", column),
        "entity": entity,
        "basis": _basis(place.name, basis),
        "data_class": data_class,
    }
    entry = {name: value for name, value in entry.items() if value}
    found = table_of(whole, entry, place.tables)
    columns = _checked(found, entry)
    loaded = _loaded(found, columns, key)
    report = preflight(loaded, [[one] for one in key], found.kinds)
    roles = {"feature": ["feature"], "label": ["label"]}
    uses = {one: found.permissions.get(one, "as the policy says") for one in columns}
    taken = columns_taken(loaded, {c: roles.get(uses[c], []) for c in loaded.column_names})
    put_table(place.tables, whole, entry, replace=replace)
    frozen_columns(place).forget(whole)  # bound anew, it is looked at anew
    typer.echo(f"{whole}: {report.rows_} rows")
    for one in taken:
        use = "key" if one.column in key else uses[one.column]
        gaps = f", {one.missing:,} missing" if one.missing else ""
        typer.echo(f"  {padded(plain(one.column), 30)} {use}; {one.taken}{gaps}")
        for told in one.wrong if one.column not in key else ():
            typer.echo(f"    - {plain(told, 1000)}")
    for level in report.levels:
        typer.echo(
            f"key {plain(level.columns[0])}: {level.usable} usable, {level.distinct} distinct"
        )
    for line in _holds(found, place, key, loaded):
        typer.echo(line)
    for line in _to_say(found, columns, place.tables):
        typer.echo(line)
    looks = {c.column: c.suggested_kind for c in report.columns if c.suggested_kind}
    if looks:
        options = " ".join(f"--kind {plain(shlex.quote(f'{c}={k}'))}" for c, k in looks.items())
        typer.echo(
            f"suggestion: {options}, as these keys look; jobs name kinds too ([align] kinds)"
        )
    for hint in report.suggestions:
        if not any(hint.startswith(f"{column}: looks like") for column in looks):
            typer.echo(f"suggestion: {plain(hint, 1000)}")


@app.command("ls")
def list_tables(
    home: Home = HOME,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """List the bound tables with keys and permissions, and whether each opens now."""
    import json

    from federated.cli.lists import padded
    from federated.node.home import NodeHome
    from federated.tables.bindings import TablesFile
    from federated.text import plain
    from psi.protocol import FedprofileError

    place = NodeHome.open(home)
    tables = TablesFile.load(place.tables).tables if place.tables.exists() else {}
    rows: list[dict[str, Any]] = []
    for name, table in tables.items():
        try:
            columns, problem = table.columns(), ""
        except FedprofileError as error:
            columns, problem = [], error.message
        rows.append(
            {
                "name": name,
                "keys": list(table.keys),
                "permissions": dict(table.permissions),
                "columns": columns,
                "problem": problem,
            }
        )
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    for row in rows:
        state = (
            f"does not open: {row['problem']}"
            if row["problem"]
            else f"{len(row['columns'])} columns"
        )
        typer.echo(f"{row['name']:<30} keys {', '.join(row['keys']) or '-'}; {plain(state)}")
        for column, use in row["permissions"].items():
            typer.echo(f"  {padded(plain(column), 30)} {use}")
    if not rows:
        typer.echo("no table is bound: fedprofile node table add")


@app.command()
def remove(name: Name, home: Home = HOME) -> None:
    """Unbind a table: jobs that name it are refused from now on. The data stays where it is."""
    from federated.node.home import NodeHome
    from federated.tables.table_file import remove_table, table_name

    place = NodeHome.open(home)
    whole = table_name(place.name, name)
    remove_table(place.tables, whole)
    typer.echo(f"{whole} is not bound any more")


@app.command()
def accept(name: Name, home: Home = HOME) -> None:
    """Take a table's columns for what they are now, where jobs are stopped by a change.

    A node remembers what each column was taken for (numbers, categories, dates …) in the last job,
    and stops a job where that is another now: an export has changed, and a score would be too. The
    next job that ends well is remembered instead.
    """
    from federated.node.home import NodeHome, frozen_columns
    from federated.tables.table_file import table_name

    place = NodeHome.open(home)
    whole = table_name(place.name, name)
    known = frozen_columns(place).forget(whole)
    said = "is forgotten; the next job looks anew" if known else "was not known: nothing to accept"
    typer.echo(f"what the columns of {whole} were taken for {said}")


def _path(path: Path | None) -> str:
    """Absolute, for a node is started anywhere; a path that begins with $NAME stays as it is."""
    if path is None:
        return ""
    return str(path) if str(path).startswith("$") else str(path.resolve())


def _pairs(option: str, given: list[str] | None) -> dict[str, str]:
    from psi.protocol import MisuseError

    pairs = {}
    for text in given or []:
        name, equals, value = text.rpartition("=")
        if not equals or not name or name in pairs:
            raise MisuseError(f"{option} {text[:64]!r} found, NAME=VALUE once a name allowed")
        pairs[name] = value
    return pairs


def _basis(party: str, given: list[str] | None) -> dict[str, str]:
    """The key `basis`, its table under the name that jobs would use."""
    from federated.tables.table_file import table_name

    found = _pairs("--basis", given)
    return found | {"table": table_name(party, found["table"])} if found.get("table") else found


def _loaded(table: Any, columns: list[str], key: list[str]) -> Any:
    """All columns, or those that a job may name where another is of a type that cannot be read."""
    from psi.protocol import InputError

    try:
        return table.load(columns, keys=key)
    except InputError:
        return table.load(list(dict.fromkeys([*key, *table.permissions])), keys=key)


def _holds(table: Any, place: Any, keys: list[str], rows: Any) -> list[str]:
    """How many bits a row holds in the columns that may be used for training."""
    from federated.approval.policy_file import load_policy
    from federated.releases.book import MICRO
    from federated.releases.budget import allowed_bits
    from federated.releases.entropy import joint_entropy
    from psi.protocol import InputError

    policy = load_policy(place.policy)
    offered = [
        name
        for name in rows.column_names
        if name not in keys
        and policy.permission(table.name, name, table.permissions.get(name, ""))
        in ("feature", "label")
    ]
    if not offered:
        return []
    try:
        held = joint_entropy(rows, offered)
    except InputError as error:
        return [f"what a row holds is not known: {error.message}"]
    told = allowed_bits(policy.releases, held) / MICRO
    return [
        f"a row holds {held:.1f} bits in what is offered for training ({len(offered)} columns); "
        f"{told:.1f} may be told to one receiver"
    ]


def _to_say(table: Any, columns: list[str], file: Path) -> list[str]:
    """What tables.toml does not say of the table, and a policy goes by."""
    from federated.tables.about import unmarked
    from federated.tables.bindings import TablesFile
    from federated.text import plain

    found, like = [], unmarked(table.about, columns)
    if like:
        found.append(
            f"suggestion: {plain(', '.join(like))} may be credit-reporting data, which a new "
            "node's policy keeps from marketing: say so by --data-class bureau"
        )
    bound = TablesFile.load(file).tables.values()
    is_basis = table.name in {one.basis.table for one in bound if one.basis is not None}
    if table.about.persons and table.basis is None and not is_basis:
        what = "its rows state no lawful basis: a new node's policy refuses jobs on them."
        found.append(
            f"{what} A table that only says who may be in jobs needs none: name it by --basis "
            "table= of the one whose rows it admits"
            if not table.permissions
            else f"{what} Write [{table.name}.basis] in tables.toml, or --entity company where no "
            "row is a person"
        )
    return found


def _checked(table: Any, entry: dict[str, Any]) -> list[str]:
    """The table's columns, all named ones among them."""
    from federated.readers import missing_column

    columns: list[str] = table.columns()
    named = [*entry["keys"], *entry.get("permissions", {}), *entry.get("kinds", {})]
    for column in [*named, *entry.get("types", {})]:
        if column not in columns:
            raise missing_column(table.where, column, columns)
    return columns
