"""Headless Chromium: what a page leaves behind, and what a script that is put into it finds."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

BROWSER = next(
    (
        found
        for name in ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
        if (found := shutil.which(name))
    ),
    None,
)
MARKS = [
    pytest.mark.browser,
    pytest.mark.skipif(BROWSER is None, reason="no Chromium on PATH (apt install chromium)"),
]
DARK = "--blink-settings=preferredColorScheme=0"
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
    "--dump-dom",
)


@dataclass(frozen=True)
class Visit:
    """What one visit left: the document, console lines, and the addresses the page asked for."""

    document: str
    console: list[str]
    requests: list[str]


def visit(text: str, folder: Path, *more: str, seconds: int = 10) -> Visit:
    """Open a page.

    Args:
        more: further words of the browser's command.
        seconds: how long the page's own clock runs, however fast.
    """
    page, log = folder / "report.html", folder / "net.json"
    page.write_text(text, "utf-8")
    assert BROWSER is not None
    run = subprocess.run(
        [
            BROWSER,
            *FLAGS,
            f"--virtual-time-budget={1000 * seconds}",
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


def asked(page: str, script: str, folder: Path, *more: str, width: int, seconds: int = 10) -> str:
    """What a script in a page says by `parent.postMessage(text, "*")`, in a frame of this width.

    The page's own policy would not let the script run, so it is taken out.
    """
    bare = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
    inner = bare.replace("</body>", f"<script>{script}</script></body>")
    frame = (
        f'<!doctype html><title></title><iframe width="{width}" height="900" '
        f'srcdoc="{html.escape(inner, quote=True)}"></iframe><script>'
        "addEventListener('message', (e) => { document.title = e.data })</script>"
    )
    seen = visit(frame, folder, *more, seconds=seconds)
    return html.unescape(re.findall("<title>(.*?)</title>", seen.document, re.DOTALL)[0])
