"""How hub and node write their log: a line for people, or one JSON object a line, in UTC."""

from __future__ import annotations

import json
import logging
import time
from typing import Annotated

import typer

from psi.protocol import MisuseError

__all__ = ["LogFormat", "log_to_stderr"]

LogFormat = Annotated[
    str, typer.Option("--log-format", help="text for people, or json: one object a line.")
]
_FIELDS = ("job", "step", "party")
_WHEN = "%Y-%m-%dT%H:%M:%S"


class _Text(logging.Formatter):
    """A line for people."""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        del datefmt
        return f"{time.strftime(_WHEN, time.gmtime(record.created))}.{int(record.msecs):03d}Z"


class _Json(_Text):
    """`time`, `level`, `logger`, `message`, and of what it is about `job`, `step` and `party`."""

    def format(self, record: logging.LogRecord) -> str:
        found: dict[str, str] = {
            "time": self.formatTime(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        known = {name: str(getattr(record, name)) for name in _FIELDS if hasattr(record, name)}
        if record.exc_info and record.exc_info[0] is not None:
            known["error"] = record.exc_info[0].__name__
        return json.dumps(found | known, ensure_ascii=False)


def log_to_stderr(form: str) -> None:
    """Begin to log; raises `MisuseError` on another format than text and json."""
    if form not in ("text", "json"):
        raise MisuseError(f"--log-format {form[:20]!r} found, text or json allowed")
    handler = logging.StreamHandler()
    text = _Text("%(asctime)s %(name)s %(levelname)s %(message)s")
    handler.setFormatter(_Json() if form == "json" else text)
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("fedprofile").setLevel(logging.INFO)
