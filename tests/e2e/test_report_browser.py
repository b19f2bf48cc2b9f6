"""A report in headless Chromium: it draws, says nothing on the console and asks for nothing."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import pytest

from profiles.language import language
from profiles.manager_pages import Lead, ManagerPage
from profiles.report import ReportData, render_report
from profiles.report.render import page_of
from tests.unit.profiles.sample import HOSTILE, horizontal, sample
from tests.unit.profiles.test_language import whole

BROWSER = next(
    (
        found
        for name in ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
        if (found := shutil.which(name))
    ),
    None,
)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(BROWSER is None, reason="no Chromium on PATH (apt install chromium)"),
]
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--disable-sync",
    "--disable-extensions",
    "--disable-component-update",
    "--disable-background-networking",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--enable-logging=stderr",
    "--virtual-time-budget=10000",
    "--dump-dom",
)


@dataclass(frozen=True)
class Visit:
    """What one visit left: the document, console lines, and the addresses the page asked for."""

    document: str
    console: list[str]
    requests: list[str]


def visit(text: str, folder: Path, *more: str) -> Visit:
    page, log = folder / "report.html", folder / "net.json"
    page.write_text(text, "utf-8")
    assert BROWSER is not None
    run = subprocess.run(
        [
            BROWSER,
            *FLAGS,
            *more,
            f"--log-net-log={log}",
            f"--user-data-dir={folder / 'profile'}",
            page.as_uri(),
        ],
        capture_output=True,
        timeout=120,
        check=True,
    )
    console = [
        line for line in run.stderr.decode("utf-8", "replace").splitlines() if ":CONSOLE" in line
    ]
    events = json.loads(log.read_text("utf-8"))["events"]
    # the browser's own errands have no page as their initiator
    requests = [
        event["params"]["url"]
        for event in events
        if "url" in event.get("params", {})
        and event["params"].get("initiator", "not an origin") != "not an origin"
    ]
    return Visit(run.stdout.decode("utf-8"), console, requests)


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
    dark = "--blink-settings=preferredColorScheme=0"
    seen = visit(render_report(sample()), tmp_path, dark, "--window-size=500,900")
    assert seen.console == []
    assert seen.requests == []
    assert "rgb(88, 196, 196)" in seen.document, "the plots are not in the dark colours"


PROBE = """<script>addEventListener("load", () => setTimeout(() => {
  const wide = document.documentElement.clientWidth, found = [];
  for (const one of document.querySelectorAll("body *")) {
    const end = one.getBoundingClientRect().right, inside = one.closest("svg, .skip, thead");
    const scrolls = one.matches(".scroll") && one.scrollWidth > one.clientWidth + 1;
    if (!inside && (end > wide + 1 || scrolls))
      found.push(one.className + " " + (one.ariaLabel || one.textContent).slice(0, 40));
  }
  parent.postMessage(`${document.documentElement.dataset.drawn} plots; ${found.join("; ")}`, "*");
}, 1000));</script>"""


def beyond(page: str, width: int, folder: Path) -> str:
    """What of a page ends beyond a frame of this width, or scrolls in it."""
    bare = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
    inner = html.escape(bare.replace("</body>", f"{PROBE}</body>"), quote=True)
    frame = (
        f'<!doctype html><title>x</title><iframe width="{width}" height="900" srcdoc="{inner}">'
        "</iframe><script>addEventListener('message', (e) => { document.title = e.data })</script>"
    )
    seen = visit(frame, folder)
    return html.unescape(re.findall("<title>(.*?)</title>", seen.document, re.DOTALL)[0])


SIZES = [("en", 390), ("zh", 390), ("zh", 1280)]


@pytest.mark.parametrize(("lang", "width"), SIZES)
def test_nothing_is_cut_off(lang: str, width: int, tmp_path: Path) -> None:
    assert beyond(render_report(whole(), lang), width, tmp_path) == "4 plots; "


def of_a_branch(lang: str) -> str:
    """Its report: lists, segments and what to look at; no plot."""
    data = whole()
    moved = (
        "churn is scored by model 0123456789abcdef: 1,200 shared records. Moved since its training "
        "(population stability of .25 or more): balance and score. Look before the scores are used."
    )
    return render_report(
        ReportData(
            job=data.job,
            purpose=data.purpose,
            entity=data.entity,
            receiver=data.receiver,
            created=data.created,
            parties=(),
            contract=data.contract,
            entities=data.entities,
            segments=data.segments,
            targets=data.targets,
            looks=(moved,),
            notes=("churn is scored by the common model of north and south, from 1,200 rows.",),
            branch="North-by-North-West, the office at the old market square",
        ),
        lang,
    )


def of_a_manager(lang: str) -> str:
    """Her page: leads with columns, reasons and offers."""
    reasons = ("balance trend falling fast (+0.42)", "channel is branch (-0.31)")
    lead = Lead(
        entity="c-000000000017",
        name="A. Customer",
        more=("+86 139 0000 0000", "north"),
        reasons=reasons,
        offer="",
        left=None,
    )
    offered = replace(lead, entity="c-000000000018", offer="fee relief for a year", left=1234.5)
    lists = (("deposit renewal", ("phone", "branch"), (lead, offered)),)
    page = ManagerPage(manager="Zhang Wei-Li", until=date(2026, 12, 10), lists=lists)
    return page_of(language(lang), "manager.html.j2", page=page, data=whole())


@pytest.mark.parametrize("page", [of_a_branch, of_a_manager])
@pytest.mark.parametrize(("lang", "width"), SIZES)
def test_nothing_is_cut_off_of_a_branch_and_a_manager(
    page: Callable[[str], str], lang: str, width: int, tmp_path: Path
) -> None:
    assert beyond(page(lang), width, tmp_path) == "undefined plots; "  # there is none
    seen = visit(page(lang), tmp_path)
    assert (seen.console, seen.requests) == ([], [])


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
