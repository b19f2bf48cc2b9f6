"""Writes docs/FEATURES.md: the columns of every feature view, from the views themselves.

    python tools/features_page.py

`tests/unit/profiles/views/test_views.py` compares the page with the code.
"""

from __future__ import annotations

from pathlib import Path

from profiles.views import VIEWS

PAGE = Path(__file__).parents[1] / "docs" / "FEATURES.md"
HEAD = """# Feature views

Made by `python tools/features_page.py`; a test compares it with the code.
[Flows](FLOWS.md#feature-views) says how they are made and how a job takes them.

A view is a named set of columns with a version, as of a cut-off: nothing of that day or later is
looked at, in any table. Windows are days before the cut-off: `30 days` are its last thirty. Amounts
are in the currency of the flows' totals. A column whose meaning changes gets another name, and its
view another version. `none` is what an entity without any row has: a number, or missing, which
training fills in.
"""


def page() -> str:
    """The whole page."""
    lines = [HEAD]
    for view in VIEWS.values():
        needs = [f"`[flows.NAME.{'contribution' if n == 'terms' else n}]`" for n in view.needs]
        lines += [f"## {view.name}, version {view.version}", "", view.meaning]
        if needs:
            lines[-1] += f" Needs {' and '.join(needs)}."
        lines += [
            "",
            "| column | of | unit | window | what it is | none |",
            "|---|---|---|---|---|---|",
        ]
        for one in view.columns:
            none = "missing" if one.empty is None else f"{one.empty:g}"
            cells = (f"`{one.name}`", one.kinds, one.unit, one.window, one.meaning, none)
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
