"""A report in headless Chromium: it draws, says nothing on the console and asks for nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from profiles.report import ReportData, render_report
from tests.e2e.browser import DARK, MARKS, asked, visit
from tests.e2e.pages import of_a_branch, of_a_manager, of_an_assessment, of_flows
from tests.unit.profiles.sample import HOSTILE, horizontal, sample
from tests.unit.profiles.test_language import whole

pytestmark = MARKS


@pytest.mark.parametrize(
    ("name", "data", "plots"),
    [("whole", sample(), 4), ("hostile", sample(HOSTILE), 4), ("horizontal", horizontal(), 4)],
)
def test_a_report_opens_alone(name: str, data: ReportData, plots: int, tmp_path: Path) -> None:
    seen = visit(render_report(data), tmp_path)
    assert seen.console == []
    assert seen.requests == []
    assert f'data-drawn="{plots}"' in seen.document
    assert seen.document.count('class="main-svg"') >= plots
    assert "@joined" not in seen.document.split('id="plots"')[0], "a colour was not replaced"


def test_a_report_opens_on_a_phone_in_the_dark(tmp_path: Path) -> None:
    seen = visit(render_report(sample()), tmp_path, DARK, "--window-size=500,900")
    assert seen.console == []
    assert seen.requests == []
    assert "rgb(88, 196, 196)" in seen.document, "the plots are not in the dark colours"


PROBE = """addEventListener("load", () => setTimeout(() => {
  const wide = document.documentElement.clientWidth, found = [];
  for (const one of document.querySelectorAll("body *")) {
    const end = one.getBoundingClientRect().right, inside = one.closest("svg, .skip, thead");
    const scrolls = one.matches(".scroll") && one.scrollWidth > one.clientWidth + 1;
    if (!inside && (end > wide + 1 || scrolls))
      found.push(one.className + " " + (one.ariaLabel || one.textContent).slice(0, 40));
  }
  parent.postMessage(`${document.documentElement.dataset.drawn} plots; ${found.join("; ")}`, "*");
}, 1000));"""


def beyond(page: str, width: int, folder: Path) -> str:
    """What of a page ends beyond a frame of this width, or scrolls in it."""
    return asked(page, PROBE, folder, width=width)


SIZES = [("en", 390), ("zh", 390), ("zh", 1280)]


@pytest.mark.parametrize(("lang", "width"), SIZES)
def test_nothing_is_cut_off(lang: str, width: int, tmp_path: Path) -> None:
    assert beyond(render_report(whole(), lang), width, tmp_path) == "4 plots; "


@pytest.mark.parametrize("page", [of_a_branch, of_a_manager])
@pytest.mark.parametrize(("lang", "width"), SIZES)
def test_nothing_is_cut_off_of_a_branch_and_a_manager(
    page: Callable[[str], str], lang: str, width: int, tmp_path: Path
) -> None:
    assert beyond(page(lang), width, tmp_path) == "undefined plots; "  # there is none
    seen = visit(page(lang), tmp_path)
    assert (seen.console, seen.requests) == ([], [])


@pytest.mark.parametrize(("lang", "width"), [("en", 390), ("en", 1280)])
def test_nothing_is_cut_off_of_flows_and_an_assessment(
    lang: str, width: int, tmp_path: Path
) -> None:
    assert beyond(of_flows(lang, tmp_path), width, tmp_path) == "undefined plots; "
    assert beyond(of_an_assessment(lang), width, tmp_path) == "undefined plots; "


def test_the_check_would_see_what_is_cut_off(tmp_path: Path) -> None:
    page = render_report(whole()).replace("<main ", '<p style="width:500px">far</p><main ', 1)
    assert "far" in beyond(page, 390, tmp_path)


def test_a_report_in_chinese_says_nothing_on_the_console(tmp_path: Path) -> None:
    seen = visit(render_report(whole(), "zh"), tmp_path)
    assert (seen.console, seen.requests) == ([], [])
    assert "误报" in seen.document


def test_the_check_would_see_a_request_and_an_error(tmp_path: Path) -> None:
    page = (
        "<!doctype html><title>x</title><img src='https://example.invalid/a.png'>"
        "<script>throw new Error('seen')</script>"
    )
    seen = visit(page, tmp_path)
    assert any("example.invalid" in address for address in seen.requests)
    assert any("seen" in line for line in seen.console)


def test_the_policy_stops_a_script_that_is_not_ours(tmp_path: Path) -> None:
    page = render_report(sample())
    planted = page.replace("</body>", "<script>document.title='run'</script></body>")
    assert planted != page
    seen = visit(planted, tmp_path)
    assert "<title>run</title>" not in seen.document
    assert any("Content Security Policy" in line for line in seen.console)
