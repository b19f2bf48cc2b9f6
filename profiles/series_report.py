"""Which job of its series a run is, and how much of what all of them may tell is spent with it.

Each party counts by itself and states its sums in the contract. Where all parties run in one
process none of them does, and there is nothing to say.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from federated.contract.series import SERIES_DAYS, SeriesTerms, SeriesTold, totals
from federated.contract.terms import Contract
from federated.releases.series import promise

__whole_ = ["series_metrics", "series_notes"]


def _counted(contract: Contract) -> Iterator[tuple[SeriesTerms, str, SeriesTold]]:
    """The series, and by party that counts what it has told with this job, at most."""
    for terms in contract.series:
        for party in contract.parties:
            for told in party.series:
                yield terms, party.name, told + promise(contract, party.name)


def series_notes(contract: Contract) -> list[str]:
    """A sentence for each party that counts the series of a job."""
    said = []
    for terms, party, told in _counted(contract):
        (jobs, most, _), *others = totals(terms, told)
        used = [
            words.format(f"{found:g} of {whole:g}") for found, whole, words in others if whole > 0
        ]
        end = f", and with it at most {', '.join(used)}" if used else ""
        said.append(
            f"Series {terms.name!r}: by {party}'s count job {jobs:g} of {most:g} in {SERIES_DAYS} "
            f"days{end}."
        )
    return said


def series_metrics(contract: Contract) -> dict[str, Any]:
    """The same for `metrics.json`: by party (spent, total), a total of 0 for none."""
    names = ("jobs", "bits_of_a_row", "epsilon", "releases")
    return {
        party: {"series": terms.name}
        | {
            name: {"spent": found, "total": most}
            for name, (found, most, _) in zip(names, totals(terms, told), strict=True)
        }
        for terms, party, told in _counted(contract)
    }
