"""Why a database said no, in words of our own: a driver's text quotes rows, and passwords perhaps.

A driver's error is told by its SQLSTATE where it has one, else by what its text holds.
"""

from __future__ import annotations

__all__ = ["reason"]

_LOST = (
    "the server has ended the connection, or cannot be reached",
    "is it running, and does a firewall let this machine in? then start again",
)
_SHUT_OUT = (
    "the server does not let this user in",
    "see user, password and the server's list of who may connect (pg_hba.conf)",
)
_NO_RIGHT = ("this user has no right to read it", "GRANT SELECT on it, and USAGE on its schema")
_NO_DATABASE = ("there is no such database", "the name behind the last slash of connection")
_FULL = ("the server takes no more connections now", "start again later")
_STOPPED = (
    "the server has stopped the query",
    "statement_timeout, or a person: raise it for this user, or bind a smaller view",
)
_LOCKED = (
    "another transaction holds a lock on it",
    "wait until it has ended (pg_stat_activity shows it), then start again",
)
_STATES = {
    "08": _LOST, "57P": _LOST, "28": _SHUT_OUT, "42501": _NO_RIGHT, "3D000": _NO_DATABASE,
    "53300": _FULL, "57014": _STOPPED, "55P03": _LOCKED,
}  # fmt: skip
_TEXTS = {
    "password authentication failed": _SHUT_OUT, "no pg_hba.conf entry": _SHUT_OUT,
    "no password supplied": _SHUT_OUT, "access denied": _SHUT_OUT, "permission denied": _NO_RIGHT,
    "too many clients": _FULL, "too many connections": _FULL, "lock timeout": _LOCKED,
    "connection refused": _LOST, "could not translate host": _LOST, "name resolution": _LOST,
    "name or service not known": _LOST, "no such file or directory": _LOST, "timeout": _LOST,
    "server closed the connection": _LOST, "connection is closed": _LOST, "is lost": _LOST,
    "terminating connection": _LOST, "starting up": _LOST, "shutting down": _LOST,
}  # fmt: skip


def reason(error: BaseException) -> tuple[str, str]:
    """What was the matter, and what to do; two empty texts where the error does not say."""
    seen: BaseException | None = error
    while seen is not None:
        state = str(getattr(seen, "sqlstate", None) or "")
        for begun, words in _STATES.items():
            if state and state.startswith(begun):
                return words
        text = str(seen).lower()
        if "does not exist" in text and ('role "' in text or 'database "' in text):
            return _SHUT_OUT if 'role "' in text else _NO_DATABASE
        for part, words in _TEXTS.items():
            if part in text:
                return words
        seen = seen.__cause__ or seen.__context__
    return "", ""
