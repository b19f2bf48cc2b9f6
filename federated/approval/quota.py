"""How many jobs and rows each proposer has had today: counts that survive a restart.

One small file, replaced as a whole under a lock, so that a node and a proposing command of the
same party count together. Days are UTC. A session counts once, however often it is looked at.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from federated.approval.policy import Policy
from federated.contract.terms import Contract
from federated.store.files import locked, write_atomic
from psi.protocol import Declined, EnvironmentFailed

__all__ = ["Quota"]

Counts = dict[str, list[int | str]]


class Quota:
    """The day's counts of a node, in `file`."""

    def __init__(self, file: Path, clock: Callable[[], float]) -> None:
        self._file, self._clock = file, clock

    def foresee(self, contract: Contract, policy: Policy) -> None:
        """Raise `Declined` where one more job of this proposer is too many; nothing is counted.

        So no officer is asked for what the day's count refuses afterwards.
        """
        with self._locked():
            sessions = self._today()[1]
        of = [nonce for nonce, (who, _) in sessions.items() if who == contract.proposer]
        _check_jobs(contract, len({*of, contract.nonce}), policy)

    def take(self, contract: Contract, policy: Policy, rows: int) -> None:
        """Count a contract and this party's `rows` in it; raises `Declined` beyond the day's."""
        with self._locked():
            day, sessions = self._today()
            sessions[contract.nonce] = [contract.proposer, rows]
            of = [entry for entry in sessions.values() if entry[0] == contract.proposer]
            jobs, total = len(of), sum(int(entry[1]) for entry in of)
            most = policy.proposals
            _check_jobs(contract, jobs, policy)
            if total > most.rows_a_day:
                raise Declined(
                    f"{total} rows for jobs of {contract.proposer} on one day (UTC) asked, "
                    f"{most.rows_a_day} allowed by policy"
                )
            data = {"day": day, "sessions": sessions}
            write_atomic(self._file, json.dumps(data), private=True)

    def _today(self) -> tuple[str, Counts]:
        day = dt.datetime.fromtimestamp(self._clock(), dt.UTC).date().isoformat()
        try:
            data = json.loads(self._file.read_text("utf-8"))
            return day, dict(data["sessions"]) if data["day"] == day else {}
        except FileNotFoundError:
            return day, {}
        except (OSError, ValueError, KeyError, TypeError):
            # a count that cannot be read must not become a count of nothing
            raise EnvironmentFailed(
                f"{self._file.name} cannot be read", hint="remove it: today's counts begin again"
            ) from None

    def _locked(self) -> AbstractContextManager[None]:
        return locked(self._file.with_suffix(".lock"))


def _check_jobs(contract: Contract, jobs: int, policy: Policy) -> None:
    most = policy.proposals.jobs_a_day
    if jobs > most:
        raise Declined(
            f"{jobs} jobs of {contract.proposer} on one day (UTC) asked, {most} allowed by policy"
        )
