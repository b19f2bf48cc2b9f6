"""The steps of a signed contract, at one party.

Each step builds the role that this party plays and drives it through the session. What is not
in the contract is not run; what a step disclosed is written into the ledger when it ends.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from federated.contract.terms import Contract, PartyTerms
from federated.releases.label_bits import label_bits
from federated.releases.learned import note_learned
from federated.scoring.store import ModelStore
from federated.steps.align import Align
from federated.steps.binning import Binning
from federated.steps.by_category import ByCategory
from federated.steps.by_segment import BySegment
from federated.steps.facts import load_table, stated, used_columns
from federated.steps.join_sum import JoinSum
from federated.steps.outcome import Outcome
from federated.steps.preconditions import check_columns, check_packages, check_usable
from federated.steps.score import Score, stated_parts
from federated.steps.score_hidden import ScoreHidden
from federated.steps.step import Step
from federated.steps.train_hidden import TrainHidden
from federated.steps.train_horizontal import TrainHorizontal
from federated.steps.train_trees import TrainTrees
from federated.steps.train_vertical import TrainVertical
from federated.steps.work import Work
from federated.tables.frozen import FrozenColumns
from federated.tables.source import Source
from psi.identifiers import check_kind

__all__ = ["STEPS", "checks_of", "facts_of", "run_steps"]

STEPS: tuple[type[Step], ...] = (
    Align,
    BySegment,
    ByCategory,
    JoinSum,
    Binning,
    TrainVertical,
    TrainHorizontal,
    TrainTrees,
    TrainHidden,
    Score,
    ScoreHidden,
)
"""How each kind of `federated.contract.kinds` runs, in the same order."""


def facts_of(
    terms: PartyTerms,
    source: Source,
    salt: bytes,
    draft: Contract | None = None,
    frozen: FrozenColumns | None = None,
    models: ModelStore | None = None,
) -> PartyTerms:
    """This party's terms with row count and snapshot hash.

    With the `draft`, the number of independent columns in each training is stated too, and all that
    its steps need of the table is looked at; with `frozen`, whether its
    columns are taken for what they were in the last job; of `models` those that it scores by.

    Raises:
        InputError: a column that a step could not use, with how many values are in the way.
        Refused: too few rows of a class, or with a usable key; another model than is kept here.
        EnvironmentFailed: a package that a step needs is not installed.
    """
    for kind in dict.fromkeys(kind for level in terms.kinds for kind in level):
        check_kind(kind)  # a missing package is told before a table is read
    table = load_table(terms, source)
    if frozen is not None:
        keys = {column for level in terms.keys for column in level}  # text, whatever they were
        held = [column for column in used_columns(terms) if column not in keys]
        trained = [column for column in terms.features if column not in keys]
        frozen.check(terms.table, table.select(held), trained)
    check_columns(terms, table)
    if draft is not None:
        check_packages(draft, terms.name)
        check_usable(draft, terms.name, table)
        for step in STEPS:
            step.check(draft, terms.name, table)
    own = stated(terms, table, salt, draft)
    if draft is not None and draft.score and models is not None:
        own = replace(own, parts=stated_parts(draft, terms.name, table, models))
    classes = source.about(terms.table).data_classes(used_columns(terms))
    own = replace(own, data_classes=classes)
    basis = source.basis(terms.table)
    if basis is None:
        return own
    return replace(own, basis=basis.table, legal_entities="admit" if basis.legal_entities else "")


def checks_of(terms: PartyTerms, source: Source, draft: Contract) -> list[Callable[[], object]]:
    """What `facts_of` looks at, each to be asked by itself: it raises the first thing alone.

    Raises what a table raises that cannot be read.
    """
    table = load_table(terms, source)
    kinds = dict.fromkeys(kind for level in terms.kinds for kind in level)
    each = (
        *(replace(terms, keys=(), kinds=(), features=(name,)) for name in terms.features),
        replace(terms, features=()),
    )
    return [
        *(partial(check_kind, kind) for kind in kinds),
        *(partial(check_columns, one, table) for one in each),
        partial(check_packages, draft, terms.name),
        partial(check_usable, draft, terms.name, table),
        *(partial(step.check, draft, terms.name, table) for step in STEPS),
    ]


def run_steps(work: Work) -> Outcome:
    """All steps of a contract in its order, at one party."""
    if work.receives:
        work.outcome.labels = label_bits(work.contract, book=work.releases)
    steps = [step(work) for step in STEPS]
    if work.receives and work.kept is not None:
        work.outcome.before = note_learned(work.kept / "learned.json", work.contract)
    for step in steps:
        step.run()
    return work.outcome
