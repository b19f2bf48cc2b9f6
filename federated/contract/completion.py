"""From a draft with everyone's facts to the final terms: what row and column counts decide."""

from __future__ import annotations

from dataclasses import replace

from federated.contract.terms import Contract, TrainTerms, suites_for
from federated.vertical import choose_steps
from psi.align import choose
from psi.protocol import JobError

__all__ = ["HORIZONTAL_STEPS", "chosen_protocol", "complete"]

HORIZONTAL_STEPS = 6
"""Steps of horizontal training where the draft leaves them open."""


def complete(contract: Contract) -> Contract:
    """Fix by the parties' row and column counts what the draft leaves open.

    That is the number of training steps, and the protocol of set intersection. Raises `JobError`
    without a usable column, `Refused` where every number of steps would disclose too much.
    """
    train = tuple(_fixed(contract, terms) for terms in contract.train)
    name, _ = chosen_protocol(contract)
    align = tuple(
        replace(terms, protocol=name or terms.protocol, alternative="") for terms in contract.align
    )
    return replace(contract, train=train, align=align, suites=suites_for(align))


def chosen_protocol(contract: Contract) -> tuple[str, str]:
    """Which protocol this draft comes to with its parties' facts, and why; empty if it is fixed."""
    if not any(terms.alternative for terms in contract.align):
        return "", ""
    receiver = contract.party(contract.receiver)
    partners = [contract.party(terms.partner) for terms in contract.align]
    allowed = set(receiver.protocols).intersection(*(p.protocols for p in partners))
    return choose([(receiver.rows, partner.rows) for partner in partners], allowed)


def _fixed(contract: Contract, terms: TrainTerms) -> TrainTerms:
    if terms.split != "vertical":
        return replace(terms, steps=terms.steps or HORIZONTAL_STEPS)
    columns = sum(contract.party(name).design_columns for name in terms.partners)
    rows = min(party.rows for party in contract.parties)
    if columns < 1:
        raise JobError("[[party]] features: no usable column at the partners")
    chosen = choose_steps(
        rows,
        columns,
        terms.folds,
        score_bits=terms.score_bits,
        row_bits=terms.row_bits,
        wanted=(terms.steps or None, terms.fold_steps or None),
    )
    return replace(
        terms,
        steps=chosen.steps,
        folds=chosen.folds,
        fold_steps=chosen.fold_steps,
        score_vectors=chosen.score_vectors,
    )
