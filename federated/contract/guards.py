"""Which guard stands against answers that single people could be worked out from by comparing jobs.

One pure function, so that `plan` and `node show` say the same. What the guards do is in
`federated.releases`, and what they do not in docs/THREAT_MODEL.md.
"""

from __future__ import annotations

from federated.contract.kinds import KINDS
from federated.contract.terms import Contract

__all__ = ["guards"]


def guards(contract: Contract, party: str) -> list[str]:
    """Sentences on the guard of `party`, whose columns a contract discloses something of."""
    if party == contract.receiver:
        return []
    asker, found = contract.receiver, list[str]()
    joined = any(
        party in kind.partners(terms)
        for kind in KINDS
        if kind.joined
        for terms in kind.terms(contract)
    )
    pooled = any(t.split == "horizontal" for t in contract.train)
    known = bool(contract.align) and contract.known
    if joined and known:
        found.append(
            f"{party} knows the joined records: it compares them, by keyed tags it keeps, with "
            f"{asker}'s earlier jobs on the same columns, and gives no new answer where one or "
            "several of them together leave fewer than a minimum of records apart, none included"
        )
    hidden = [a for a in contract.align if a.partner == party and a.reveal != "both"]
    if hidden or any(j.partner == party for j in contract.join_sum):
        found.append(
            f"{party} sees blinded items only, so it cannot compare {asker}'s jobs: caps on sets, "
            "a count of jobs and noise on sums are its guard"
        )
    if pooled:
        found.append(
            f"{party} gives sums over all of its own rows that have a label, under noise of its "
            f"own: {asker} cannot choose the rows, so no comparison with earlier jobs is made"
        )
    if any(b.partner == party for b in contract.binning):
        found.append(
            f"what columns are worth for a label is told rounded, of all records together, and is "
            f"not compared with {asker}'s earlier jobs: how often is capped"
        )
    if joined or pooled or any(j.partner == party for j in contract.join_sum):
        found.append(
            f"{party} caps how often a column is disclosed to {asker}, and the noise a column may "
            "spend where its policy sets a budget"
        )
    return found
