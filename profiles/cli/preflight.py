"""`fedprofile preflight`: each side alone looks at its keys before any cryptography."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["preflight"]


def preflight(
    job: Annotated[Path, typer.Argument(help="The job file.")],
    tables: Annotated[Path, typer.Option("--tables", help="This party's tables.toml.")],
    party: Annotated[
        str, typer.Option("--party", help="Only this party; otherwise all whose table is bound.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Check key columns: rows, nulls, invalid by reason, duplicates, and what to do; say of every
    other column that the job names what it is taken for.

    Counts only; no value is shown and nothing is sent. Ends with exit code 0 where the job can
    succeed with these columns, also if there is something to mend; with 4 where a table cannot be
    read or lacks a key column, a column cannot be what the job takes it for, what it holds is in
    the way of a step (a label with three classes, a manager twice), no row has a usable key, or
    fewer than [align] minimum_overlap or more than largest_set have one; with 3 where a file is
    wrong.
    """
    import json
    from dataclasses import replace

    from federated.tables.basis import left_out_words
    from federated.tables.bindings import TablesFile
    from federated.tables.column_report import columns_taken, in_lines
    from federated.tables.key_sides import side_by_side
    from federated.tables.preflight import preflight as check
    from federated.tables.preflight_report import PreflightReport
    from federated.tables.source import FileSource
    from federated.text import plain
    from profiles.cli.screen import column_bars
    from profiles.fits import unnamed_branches, with_categories
    from profiles.held_columns import frozen_beside
    from profiles.in_the_way import in_the_way
    from profiles.job import AlignSpec, Job
    from profiles.leaks import with_leaks
    from profiles.plan import admitted
    from profiles.roles import roles_of
    from psi.protocol import InputError, JobError

    spec = Job.load(job)
    file = TablesFile.load(tables)
    align = spec.align or AlignSpec(minimum_overlap=0)
    bound = [p for p in spec.parties if p.table in file and party in ("", p.name)]
    if not bound:
        known = ", ".join(f"{p.table} of {p.name}" for p in spec.parties)
        raise JobError(
            f"{tables}: no table of {party or 'any party'}",
            hint=f"the job has {known}; bound are {', '.join(file)}",
        )
    if not all(found.keys for found in bound):
        raise JobError(
            f"{job}: no [[party]] keys to check",
            hint="a horizontal job matches no rows: fedprofile plan --tables looks at its columns",
        )
    reports = []
    seen: dict[str, PreflightReport] = {}
    for found in bound:
        names = list(dict.fromkeys(column for level in found.keys for column in level))
        roles = roles_of(spec, found.name)
        source = admitted(spec, FileSource(file))
        table = source.load(found.table, [*roles], keys=names)
        taken = columns_taken(table, {c: r for c, r in roles.items() if r != ["key"]})
        taken = with_leaks(spec, found.name, table, taken)
        taken = with_categories(spec, found.name, table, taken)
        kinds = {
            c: k
            for cs, ks in zip(found.keys, align.kinds, strict=False)
            for c, k in zip(cs, ks, strict=True)
        }
        with column_bars() as progress:
            report = check(
                table, found.keys, kinds, duplicates=align.duplicates, progress=progress,
                minimum=align.minimum_overlap, largest=align.largest_set,
            )  # fmt: skip
        if not any(one.problem for one in taken):
            ways = in_the_way(spec, found, source, frozen_beside(job, tables))
            report = replace(report, problems=(*report.problems, *ways))
        for name, earlier in seen.items():
            told_of = side_by_side(earlier, report, (name, found.name))
            report = replace(report, suggestions=(*report.suggestions, *told_of))
        seen[found.name] = report
        if found.name == spec.receiver:
            said = (f"{a}: {words}" for a, words in unnamed_branches(spec, source).items())
            report = replace(report, suggestions=(*report.suggestions, *said))
        told = {"party": found.name, "table": found.table, **report.as_dict()}
        told["taken"] = [one.as_dict() for one in taken]
        left = {name: one.left_out for name, one in source.found.items() if name == found.table}
        told["left_out"] = left.get(found.table, {})
        told["ok"] = bool(told["ok"]) and not any(one.problem for one in taken)
        reports.append(told)
        if not as_json:
            lines = ["other columns:", *(f"  {line}" for line in in_lines(taken))] if taken else []
            lines += [left_out_words(name, counts) for name, counts in left.items()]
            shown = "\n".join([report.to_text(), *(plain(line, 1000) for line in lines)])
            typer.echo(f"{found.name}: {found.table}\n{shown}\n")
    if as_json:
        typer.echo(json.dumps(reports, indent=1))
    if not all(report["ok"] for report in reports):
        raise typer.Exit(InputError.exit_code)
