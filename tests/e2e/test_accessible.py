"""What axe finds on a page that keeps somebody from reading it: contrast, names, the keyboard.

axe-core comes with a package for Playwright, of which nothing else is used:
`pip install --no-deps axe-playwright-python`, as `.ci/run` does.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from profiles.report import render_report
from tests.e2e.browser import DARK, MARKS, asked
from tests.e2e.pages import (
    of_a_branch,
    of_a_manager,
    of_a_scorecard,
    of_all,
    of_an_assessment,
    of_flows,
)
from tests.unit.profiles.test_language import alike

FOUND = find_spec("axe_playwright_python")
AXE = (
    Path(next(iter(FOUND.submodule_search_locations))) / "axe.min.js"
    if FOUND and FOUND.submodule_search_locations
    else None
)
pytestmark = [
    *MARKS,
    pytest.mark.skipif(
        AXE is None, reason="no axe-core (pip install --no-deps axe-playwright-python)"
    ),
]

# closed lists are opened. Shadows at the edges of what scrolls are gradients, on which axe cannot
# tell a contrast: what lies between them is one colour
LOOK = """addEventListener("load", () => setTimeout(async () => {
  for (const one of document.querySelectorAll("details")) one.open = true;
  const flat = document.createElement("style");
  flat.textContent = ".scroll { background: var(--card) !important }";
  document.head.append(flat);
  const { violations, passes } = await axe.run(document, { resultTypes: ["violations"] });
  const found = violations.flatMap((one) => one.nodes.map((node) =>
    [one.impact, one.id, node.html.slice(0, 160), node.failureSummary.slice(0, 240)].join(" ")));
  parent.postMessage(JSON.stringify({ found, passes: passes.map((one) => one.id) }), "*");
}, 1500));"""


def looked_at(page: str, folder: Path, width: int, *more: str) -> list[str]:
    """What axe says against a page: impact, rule, element and why."""
    assert AXE is not None
    script = AXE.read_text("utf-8").replace("</script", "<\\/script") + LOOK
    said = json.loads(asked(page, script, folder, *more, width=width, seconds=60))
    assert {"color-contrast", "html-has-lang", "document-title"} <= {
        *said["passes"],
        *(line.split()[1] for line in said["found"]),
    }
    return list(said["found"])


PAGES: dict[str, Callable[[str, Path], str]] = {
    "report": lambda lang, _: of_all(lang),
    "rows": lambda lang, _: render_report(alike(), lang),
    "scorecard": lambda lang, _: of_a_scorecard(lang),
    "branch": lambda lang, _: of_a_branch(lang),
    "manager": lambda lang, _: of_a_manager(lang),
    "flows": of_flows,
    "assessment": lambda lang, _: of_an_assessment(lang),
}
DARKENED = ("report", "scorecard", "flows")  # the others have the same colours, or light ones only
WAYS = [
    *((name, "en", 390, ()) for name in PAGES),
    *((name, "zh", 1280, (DARK,)) for name in DARKENED),
]


@pytest.mark.parametrize(("name", "lang", "width", "more"), WAYS)
def test_axe_finds_nothing(
    name: str, lang: str, width: int, more: tuple[str, ...], tmp_path: Path
) -> None:
    assert looked_at(PAGES[name](lang, tmp_path), tmp_path, width, *more) == []


def test_axe_would_find_what_is_wrong(tmp_path: Path) -> None:
    page = of_a_manager("en").replace("<h1>", '<img src="data:,"><h1 style="color:#eee">', 1)
    found = " ".join(looked_at(page, tmp_path, 390))
    assert "image-alt" in found
    assert "color-contrast" in found
