"""What `run` and `demo` end with: the numbers that matter, the files, then the disclosures."""

from __future__ import annotations

from profiles.run import JobResult

__all__ = ["print_summary"]


def print_summary(result: JobResult) -> None:
    """Print to standard output."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from federated.text import plain
    from profiles.aggregate_report import join_sum_metrics
    from profiles.cli.figures import group_lines
    from profiles.counted_outputs import counted_notes
    from profiles.language import language
    from profiles.report.sentences import money_words
    from profiles.spreadsheet import no_workbook

    console, t = Console(), language("en")
    report = result.outputs.report
    title = plain(report.job, 200)
    console.print(Text(title, style="bold"))
    if report.synthetic:
        console.print("[yellow]synthetic data: the figures show the software, not the world[/]")
    if report.matched is not None:
        console.print(f"entities matched  {report.matched} of {report.entities}")
    for model in report.models:
        for score in model.scores:
            interval = score.interval
            spread = f"  [{interval.low:.4f}, {interval.high:.4f}]" if interval else ""
            console.print(
                f"AUC {plain(model.task, 40)}, {score.name:<16} {score.mean_auc:.4f}{spread}",
                highlight=False,
                markup=False,
            )
        for one in model.numbers:
            interval = one.interval
            spread = f"  [{interval.low:.4f}, {interval.high:.4f}]" if interval else ""
            told = f"explained {plain(model.task, 40)}, {one.name:<16} {one.mean_explained:.4f}"
            console.print(
                f"{told}{spread}  off by {one.rmse:.5g} (root mean square)",
                highlight=False,
                markup=False,
            )
        if (later := model.out_of_time) is not None:
            for one in later.numbers:
                told = f"{plain(model.task, 40)} from {later.day} on, {one.name}"
                console.print(
                    f"explained {told:<32} {one.explained:.4f}", highlight=False, markup=False
                )
            for score in later.scores:
                told = f"{plain(model.task, 40)} from {later.day} on, {score.name}"
                console.print(f"AUC {told:<32} {score.auc:.4f}", highlight=False, markup=False)
        if model.by_chance:
            than = "the mean answer" if model.numbers else "chance"
            told = (
                f"look at this: {plain(model.task, 40)} is no better than {than}: see the interval"
            )
            console.print(told, highlight=False, markup=False)
        for warning in (*model.warnings, *model.dropped):
            console.print(f"look at this: {plain(warning, 400)}", highlight=False, markup=False)
    for table in report.aggregates:
        for text in group_lines(table):
            console.print(text, highlight=False, markup=False, soft_wrap=True)
    for summed in join_sum_metrics(result.federation.outcome):
        console.print(f"shared with {summed['partner']}  {summed['shared']}", highlight=False)
        for name, value in summed["values"].items():
            shown = "withheld, too few values" if value is None else f"{value:.10g}"
            told = f"{plain(name, 60)} of {summed['partner']}  {shown}"
            console.print(told, highlight=False, markup=False)
    for binning in report.binnings:
        for line in binning.columns:
            label = f"{plain(binning.label, 40)}{binning.apart_words}"
            name = f"{label}, {line.party}.{plain(line.column, 60)}"
            told = f"information value {name}  {line.shown}{binning.noise_words(line)}"
            console.print(told, highlight=False, markup=False)
        for state in ("outcome", "one_bin"):
            if columns := binning.of_state(state):
                told = t(f"binning.state_{state}", columns=[plain(c, 80) for c in columns])
                look = "look at this: " * (state == "outcome")
                console.print(f"{look}{told}", highlight=False, markup=False, soft_wrap=True)
    for target in report.targets:
        given = f", {target.assigned} with a manager" if target.assigned is not None else ""
        by = ", ".join(f"{number} by {plain(how, 60)}" for how, number in target.assigned_by)
        given += f" ({by})" if by else ""
        if target.held:
            given += f"; {target.held.people} who would be on it are "
            given += "in the control group, on no list"
            given += ", more than are listed" * (target.held.people > target.total)
            least = t.form("points", target.held.smallest)
            shows = f"shows in 80 of 100 cases an effect of {least} and more"
            given += f"; {shows if target.held.smallest < 1 else 'too few to show an effect'}"
        console.print(f"targets {plain(target.product, 40)}: {target.total}{given}", markup=False)
        if target.money is not None:
            told = f"  {plain(money_words(t, target.money, target.score), 600)}"
            console.print(told, highlight=False, markup=False, soft_wrap=True)
        for mine, _, leads in target.unknown:
            told = f"  the {plain(mine, 60)} of {leads} is one that no manager has"
            console.print(told, highlight=False, markup=False)
        for reason in (reason for reason in target.left_out if reason.people):
            told = f"  not listed, {reason.stage}: {plain(reason.words, 200)}  {reason.people}"
            console.print(told, highlight=False, markup=False)
    if report.targets and (missing := no_workbook()):
        console.print(missing, highlight=False, markup=False)
    for look in report.looks:
        console.print(f"look at this: {plain(look, 400)}", highlight=False, markup=False)
    for note in report.notes:
        console.print(note, highlight=False, markup=False)
    for counted in result.federation.outcome.counted:
        for note in counted_notes(counted) if counted.trained.model.classes else ():
            told = f"{plain(counted.trained.terms.task, 40)}: {plain(note, 400)}"
            console.print(told, highlight=False, markup=False)
    console.print()
    first = ["report.html"]  # what people open
    for name in first + [name for name in result.outputs.files if name not in first]:
        console.print(str(result.out / name), highlight=False, markup=False, soft_wrap=True)
    for ledger in sorted((result.out / "parties").glob("*/ledger.jsonl")):
        console.print(str(ledger), highlight=False, markup=False, soft_wrap=True)
    told_to = Table("disclosed to", "what", "contract line", box=None, pad_edge=False)
    for entry in report.disclosures:
        told_to.add_row(*(Text(plain(t, 2400)) for t in (entry.to, entry.learns, entry.line)))
    console.print()
    console.print(told_to)
