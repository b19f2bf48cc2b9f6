"""The steps of a signed contract, at one party.

Each step builds the role that this party plays and drives it through the session. What is not
in the contract is not run; what a step disclosed is written into the ledger when it ends.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pyarrow as pa

from federated.aggregate import Added, History
from federated.aggregate.history import KnownReceiver, KnownSender
from federated.aggregate.noise import discrete_laplace
from federated.aggregate.pairs import Pairs
from federated.contract.noise import needs_noise
from federated.contract.terms import (
    AggregateTerms,
    AlignTerms,
    CategoryTerms,
    Contract,
    JoinSumTerms,
    PartyTerms,
    TrainTerms,
)
from federated.evaluation import stratified_folds
from federated.horizontal import (
    AnswerRound,
    AskRound,
    Branch,
    HearModel,
    HorizontalFit,
    NoiseKey,
    Plan,
    SecureSum,
    TellModel,
)
from federated.horizontal.branch import Question
from federated.paillier import PrivateKey, generate_keypair
from federated.releases.learned import note_learned
from federated.releases.memory import Releases
from federated.session.session import Session
from federated.steps import by_category as category
from federated.steps import join_sum
from federated.steps.by_segment import Segments, groups_of
from federated.steps.categories_told import FileTold, NothingTold
from federated.steps.folds import FoldKey, dealt
from federated.steps.groups_asked import Asked
from federated.steps.kept_tags import KeptTags
from federated.steps.outcome import Outcome, Trained
from federated.steps.preconditions import check_columns, check_table
from federated.steps.release_guard import ReleaseGuard
from federated.tables.encoding import Encoder, independent_columns
from federated.tables.inferred import mark
from federated.tables.key_columns import cleaned_key
from federated.tables.matrix import known_labels, numeric_matrix
from federated.tables.snapshot import snapshot_hash
from federated.tables.source import Source
from federated.vertical import FeatureParty, LabelParty
from federated.vertical import Steps as Passes
from federated.vertical.guards import check_classes, check_records
from psi import align
from psi.align import Alignment, AlignSettings, Records, SelectReceiver, SelectSender
from psi.identifiers import Cleaned, check_kind, combine
from psi.protocol import InputError, PeerError, Refused

__all__ = ["Steps", "facts_of", "load_table", "used_columns"]


def used_columns(terms: PartyTerms) -> list[str]:
    """Every column of this party that the contract names, once."""
    keys = [column for level in terms.keys for column in level]
    own = [*terms.segments, *terms.labels]
    return list(dict.fromkeys([*keys, *terms.features, *terms.measures, *own]))


def load_table(terms: PartyTerms, source: Source) -> pa.Table:
    """The columns of this party that the contract names."""
    keys = [column for level in terms.keys for column in level]
    return mark(source.load(terms.table, used_columns(terms), keys=keys), terms.features)


def facts_of(
    terms: PartyTerms, source: Source, salt: bytes, draft: Contract | None = None
) -> PartyTerms:
    """This party's terms with row count, snapshot hash and number of independent design columns.

    `salt` stays with the party, so that nobody can guess a small table from its hash. With the
    `draft`, all that its steps need of the table is looked at.
    """
    for kind in dict.fromkeys(kind for level in terms.kinds for kind in level):
        check_kind(kind)  # a missing package is told before a table is read
    table = load_table(terms, source)
    check_columns(terms, table)
    if draft is not None:
        check_table(draft, terms.name, table)
    width = independent_columns(table, terms.features) if terms.features else 0
    snapshot = snapshot_hash(table, salt=salt)
    return replace(terms, rows=len(table), snapshot=snapshot, design_columns=width)


class Steps:
    """Runs a contract's steps at one party."""

    def __init__(
        self,
        session: Session,
        contract: Contract,
        source: Source,
        salt: bytes,
        kept: Path | None = None,
        releases: Releases | None = None,
    ) -> None:
        self._session, self._contract, self._kept = session, contract, kept
        self._source = source
        self._me = contract.party(session.name)
        self._table = load_table(self._me, source)
        if snapshot_hash(self._table, salt=salt) != self._me.snapshot:
            raise PeerError("the table changed after the contract was signed", step="tables")
        me = session.name
        if needs_noise(contract, me):
            discrete_laplace([1])  # a missing package is told before anything is sent
        self._told = NothingTold() if kept is None else FileTold(kept / "told.json")
        asked = None
        if kept is not None and session.name == contract.receiver:
            asked = Asked(kept / "asked", session.random, session.clock)
        self._segments = Segments(contract, asked, releases)
        self._histories: dict[str, History] = {}
        # where rows repeat, with one partner only: pairs, this party's own record of each, and how
        # many of them one record is in at most
        self._pairs: Pairs | None = None
        self._own: np.ndarray | None = None
        self._most = 1
        self._added: dict[str, Added] = {}
        self._sent_rows = False
        self._keys: dict[int, PrivateKey] = {}
        self._guard = ReleaseGuard(session, contract, source, salt, self._table, releases)
        self.outcome = Outcome(contract)

    def run(self) -> Outcome:
        """All steps in the contract's order."""
        receiver = self._session.name == self._contract.receiver
        if receiver and self._kept is not None:
            self.outcome.before = note_learned(self._kept / "learned.json", self._contract)
        for terms in self._contract.align:
            if receiver or terms.partner == self._session.name:
                self._align(terms, receiver)
        if self._contract.align and all(a.reveal == "both" for a in self._contract.align):
            self._select(receiver)
        for number, aggregate in enumerate(self._contract.aggregate):
            if receiver or aggregate.partner == self._session.name:
                self._aggregate(aggregate, number, receiver)
        for number, terms_by in enumerate(self._contract.category):
            if receiver or terms_by.partner == self._session.name:
                self._category(terms_by, number, receiver)
        for number, join in enumerate(self._contract.join_sum):
            if receiver or join.partner == self._session.name:
                self._join_sum(join, number, receiver)
        for train in self._contract.train:
            if train.split == "horizontal":
                self._horizontal(train, receiver)
            if train.split == "vertical" and (receiver or self._session.name in train.partners):
                self._label_party(train) if receiver else self._feature_party(train)
        return self.outcome

    def _disclosed(self, step: str, **counts: int) -> None:
        """A ledger line for every disclosure of this step that concerns this party."""
        for entry in self._contract.disclosures:
            if entry.step == step:
                self._session.ledger.once(
                    "disclosure",
                    step=step,
                    to=entry.to,
                    learns=entry.learns,
                    line=entry.line,
                    **counts,
                )

    def _align(self, terms: AlignTerms, receiver: bool) -> None:
        step = f"align/{terms.partner}"
        keys = [
            combine([self._cleaned(c, k) for c, k in zip(columns, kinds, strict=True)])
            for columns, kinds in zip(self._me.keys, self._me.kinds, strict=True)
        ]
        peer = terms.partner if receiver else self._contract.receiver
        settings = AlignSettings(
            protocol=terms.protocol,
            reveal=self._reveal(terms),
            duplicates=terms.duplicates,
            minimum_overlap=terms.minimum_overlap,
            minimum_checked_by=terms.minimum_checked_by,
            largest_set=terms.largest_set,
        )
        keeper = self._keeper(terms, peer) if terms.keep_tags_days else None
        side = align.receive if receiver else align.send
        try:
            found = self._levels(step, side(peer, keys, settings, keeper), peer)
        except Refused as error:
            error.message = f"with {peer}: {error.message}"  # one of several, it may be
            raise
        self.outcome.alignments[peer] = found
        if terms.duplicates == "join" and len(found.entry):
            self._own = Records.of(keys).of_row[found.rows]
            self._pairs = Pairs(found.entry, found.entry if receiver else self._own)
            self._segments.over(self._pairs)
            self._most = found.most
        self._disclosed(
            f"align {terms.partner}",
            matched=found.matched,
            own_rows=found.size_receiver if receiver else found.size_sender,
            peer_items=found.size_sender if receiver else found.size_receiver,
        )

    def _cleaned(self, column: str, kind: str) -> Cleaned:
        """A key column; of the rarer kinds, which take long, the progress is shown."""
        told = lambda share: self._session.tell("keys", share)  # noqa: E731
        return cleaned_key(self._table, column, kind, told)

    def _reveal(self, terms: AlignTerms) -> str:
        """A count that is to be summed over needs the places that match."""
        joined = any(join.partner == terms.partner for join in self._contract.join_sum)
        return "places" if joined else terms.reveal

    def _keeper(self, terms: AlignTerms, peer: str) -> KeptTags:
        session, sender = self._session, self._contract.party(terms.partner)
        told = lambda share: session.tell(f"align/{terms.partner}/tags", share)  # noqa: E731
        return KeptTags(
            self._kept, session.pinned[peer], terms, sender, session.random, session.clock, told
        )

    def _levels(self, step: str, runs: align.Runs, peer: str) -> Alignment:
        """Drive an alignment: one protocol run a level, and one for the order."""
        try:
            name, build = next(runs)
            while True:
                level = f"{step}/{name}"
                result = self._session.run(level, build(self._session.context(level)), [peer])
                name, build = runs.send(result)
        except StopIteration as stop:
            return cast(Alignment, stop.value)

    def _select(self, receiver: bool) -> None:
        """Keep the rows that every partner has; with one partner that is all of them."""
        alignments = self.outcome.alignments
        if not receiver:
            found = alignments[self._contract.receiver]
            keep = np.arange(len(found.rows))
            if len(self._contract.align) > 1:
                role = SelectSender(self._session.context("select"), len(found.rows))
                keep = self._session.run("select", role, [self._contract.receiver])
        else:
            positions = _common({name: a.rows for name, a in alignments.items()})
            if len(alignments) > 1:
                self._session.run(
                    "select", SelectReceiver(self._session.context("select"), positions)
                )
            first = next(iter(alignments))
            found, keep = alignments[first], positions[first]
        self.outcome.rows, self.outcome.grades = found.rows[keep], found.grade[keep]
        if len(self._contract.align) > 1:
            self._disclosed("select", matched=len(keep))

    @property
    def _stands(self) -> np.ndarray | None:
        """The pair that counts for each of the receiver's rows, if records repeat among them."""
        return None if self._pairs is None else self._pairs.stands

    def _aligned(self) -> pa.Table:
        return self._table.take(pa.array(self.outcome.rows))

    def _paillier_key(self, bits: int) -> PrivateKey:
        """This party's key of so many bits for this job; made once, when it is first needed."""
        if bits not in self._keys:
            make = lambda: generate_keypair(bits, random=self._session.random).to_bytes()  # noqa: E731
            kept = self._session.keep(f"paillier-{bits}", make)
            self._keys[bits] = PrivateKey.from_bytes(kept)
        return self._keys[bits]

    def _aggregate(self, terms: AggregateTerms, number: int, receiver: bool) -> None:
        step = f"aggregate/{number}/{terms.partner}"
        context, table = self._session.context(step), self._aligned()
        if receiver:
            history = self._history(terms.partner, table, receiver)
            added = self._added_rows(terms.partner, table, history)
            asking = self._segments.receiving(context, terms, added)
            result = self._session.run(step, asking, [terms.partner])
            self._segments.received(terms, result, table)
            self.outcome.aggregates.append((terms, result))
        else:
            self._guard.before(step, self.outcome.rows, self._stands)
            history = self._history(terms.partner, table, receiver)
            key = self._paillier_key(terms.key_bits)
            self._send_rows(table, key, history)
            role = self._segments.giving(context, terms, key, history)
            found = self._session.run(step, role, [self._contract.receiver])
            self._segments.gave(terms, found)
        self._disclosed(f"aggregate {terms.partner}", rows=len(table))

    def _added_rows(self, partner: str, table: pa.Table, history: History) -> Added:
        """Before the first section towards a partner: its rows, added up for all of them."""
        if partner not in self._added:
            step = f"rows/{partner}"
            context = self._session.context(step)
            role = self._segments.adding(context, partner, table, history)
            self._added[partner] = self._session.run(step, role, [partner])
        return self._added[partner]

    def _send_rows(self, table: pa.Table, key: PrivateKey, history: History) -> None:
        """Before this partner's first section: its rows, for all of them."""
        if not self._sent_rows:
            step = f"rows/{self._session.name}"
            context = self._session.context(step)
            role = self._segments.sending(context, self._me, table, key, history)
            self._session.run(step, role, [self._contract.receiver])
            self._sent_rows = True

    def _history(self, partner: str, table: pa.Table, receiver: bool) -> History:
        """Before the first section towards a partner: where its records stood in earlier jobs."""
        if partner not in self._histories:
            step, least = f"known/{partner}", self._segments.least(partner)
            context = self._session.context(step)
            if receiver:
                self._segments.ask(partner, table)
                rows = len(table) if self._pairs is None else self._pairs.rows
                asking = KnownReceiver(context, rows, least)
                found = self._session.run(step, asking, [partner])
            else:
                made = self._segments.history(self._me, table)
                role = KnownSender(context, self._contract.receiver, made)
                found = self._session.run(step, role, [self._contract.receiver])
            self._histories[partner] = found
        return self._histories[partner]

    def _category(self, terms: CategoryTerms, number: int, receiver: bool) -> None:
        step = f"category/{number}/{terms.partner}"
        context, table = self._session.context(step), self._aligned()
        if receiver:
            key = self._paillier_key(terms.key_bits)
            role = category.receiving(
                context, terms, table, key, groups_of, where=self._me.table, most=self._most
            )
            result = self._session.run(step, role, [terms.partner])
            self.outcome.categories.append((terms, result))
        else:
            self._guard.before(step, self.outcome.rows, self._stands)
            rows = self.outcome.rows
            giving = category.giving(
                context, terms, table, rows, self._told, self._pairs, self._most
            )
            self._session.run(step, giving, [self._contract.receiver])
        self._disclosed(f"category {terms.partner}", rows=len(table))

    def _join_sum(self, terms: JoinSumTerms, number: int, receiver: bool) -> None:
        step = f"join_sum/{number}/{terms.partner}"
        context = self._session.context(step)
        if receiver:
            found = self.outcome.alignments[terms.partner]
            adding = join_sum.receiving(context, terms, found, records=len(self._me.keys) > 1)
            result = self._session.run(step, adding, [terms.partner])
            self.outcome.join_sums.append((terms, result))
            counts = {"shared": result.shared}
        else:
            self._guard.before(step, None)
            align = next(a for a in self._contract.align if a.partner == terms.partner)
            role = join_sum.sending(
                context,
                terms,
                self.outcome.alignments[self._contract.receiver],
                self._table,
                self._paillier_key(terms.key_bits),
                receiver=self._contract.receiver,
                duplicates=align.duplicates,
                where=self._me.table,
            )
            counted = self._session.run(step, role, [self._contract.receiver])
            counts = {"shared": int(counted[0])}
        self._disclosed(f"join_sum {terms.partner}", **counts)

    def _label_party(self, terms: TrainTerms) -> None:
        step, table = f"train/{terms.task}", self._aligned()
        label = known_labels(table, terms.label, positive=terms.positive, where=self._me.table)
        labelled = label >= 0
        encoder = Encoder.fit(table, self._me.features, labelled)  # sums run over these rows
        matrix, names = encoder.transform(table)
        if self._own is not None:
            check_classes(label[np.unique(self._own, return_index=True)[1]])
        folds = self._folds(terms, table, labelled)
        role = LabelParty(
            self._session.context(step),
            list(terms.partners),
            matrix,
            label,
            folds=folds if terms.folds else None,
            steps=terms.steps,
            fold_steps=terms.fold_steps,
            key=self._paillier_key(terms.key_bits),
            records=self._own,
        )
        fit = self._session.run(step, role, terms.partners)
        self.outcome.trained.append(
            Trained(
                terms,
                encoder,
                list(names),
                sum(self._contract.party(name).design_columns for name in terms.partners),
                fit.coefficients,
                fit.intercept,
                label,
                folds,
                fit.scores,
                fit.fold_scores,
                matrix,
                list(fit.log),
            )
        )
        self._disclosed(f"train {terms.task}", rows=len(label), score_vectors=fit.score_vectors)

    def _folds(self, terms: TrainTerms, table: pa.Table, labelled: np.ndarray) -> np.ndarray:
        """`int64[rows]`: each labelled row's fold, the same whenever this job goes on; else -1."""
        if not terms.folds:
            return np.full(len(labelled), -1, np.int64)
        session, me = self._session, self._me

        def deal() -> bytes:
            if self._kept is None:
                key = FoldKey.of_job(session.keep("fold-key", lambda: session.random(32)), me)
            else:
                there = [*self._table.column_names, *self._source.columns(me.table)]
                key = FoldKey.kept(self._kept, me, there, session.random)
            names = self._guard.keys(key.levels, self.outcome.rows)
            return key.deal(names, table, terms.folds).astype("<i2").tobytes()

        name = f"folds-{terms.task.encode().hex()}"
        return dealt(session.keep(name, deal), labelled)

    def _feature_party(self, terms: TrainTerms) -> None:
        step, table = f"train/{terms.task}", self._aligned()
        self._guard.before(step, self.outcome.rows, self._stands)
        matrix, _ = Encoder.fit(table, self._me.features).transform(table)
        if self._own is not None:
            check_records(matrix, self._own)
        others = [name for name in terms.partners if name != self._session.name]
        role = FeatureParty(
            self._session.context(step),
            self._contract.receiver,
            matrix,
            partners=list(terms.partners),
            cap=terms.score_vectors,
            score_bits=terms.score_bits,
            row_bits=terms.row_bits,
            others=sum(self._contract.party(name).design_columns for name in others),
            key_bits=terms.key_bits,
            planned=Passes(terms.steps, terms.folds, terms.fold_steps),
            secrets={name: self._session.shared_secret(name, step) for name in others},
            records=self._own,
        )
        fit = self._session.run(step, role, [self._contract.receiver, *others])
        self.outcome.coefficients[terms.task] = fit.coefficients
        self._disclosed(f"train {terms.task}", rows=len(table), score_vectors=fit.score_vectors)

    def _horizontal(self, terms: TrainTerms, receiver: bool) -> None:
        """Horizontal training: the receiver asks, every party's rows answer under masks."""
        step = f"train/{terms.task}"
        if not receiver:
            self._guard.before(step, None)  # once, for all rounds
        branch, plan = self._branch(terms, step)
        run, context = self._session.run, self._session.context
        if receiver:
            fit = self._conduct(step, branch, plan)
        else:
            asker = [self._contract.receiver]
            for number in range(plan.rounds):
                named = f"{step}/{number}"
                run(named, AnswerRound(context(named), plan, number, branch.answer), asker)
            fit = run(f"{step}/model", HearModel(context(f"{step}/model"), plan), asker)
        self.outcome.horizontal.append((terms, fit))
        self._disclosed(f"train {terms.task}", rows=fit.rows)

    def _conduct(self, step: str, branch: Branch, plan: Plan) -> HorizontalFit:
        from federated.flower.server_app import conduct  # Flower, where it is needed only

        me, peers = self._session.name, self._session.peers

        def ask(question: Question) -> dict[str, np.ndarray]:
            named = f"{step}/{question.number}"
            role = AskRound(self._session.context(named), peers, question, plan)
            return self._session.run(named, role) | {me: branch.answer(question)}

        fit = conduct(plan, [me, *peers], ask)
        told = TellModel(self._session.context(f"{step}/model"), peers, fit)
        return self._session.run(f"{step}/model", told)

    def _branch(self, terms: TrainTerms, step: str) -> tuple[Branch, Plan]:
        table = self._table
        label = known_labels(table, terms.label, positive=terms.positive, where=self._me.table)
        known = label >= 0
        x = numeric_matrix(table, self._me.features, where=self._me.table)[known]
        missing = int(np.isnan(x).sum())
        if missing:
            raise InputError(
                f"{self._me.table}: {missing} feature values are missing",
                hint="fill them in before horizontal training",
            )
        plan = Plan(
            x.shape[1], terms.folds, terms.steps, terms.row_bits, len(self._contract.parties)
        )
        random = self._session.random
        key = NoiseKey(self._session.keep(f"noise-{terms.task.encode().hex()}", lambda: random(32)))
        folds = np.full(len(x), -1, np.int64)
        if terms.folds:  # by a seed of this party's own: who knows the contract's knows no label
            folds = stratified_folds(label[known], terms.folds, key.seed(b"folds"))
        masks = SecureSum(
            self._session.name,
            {peer: self._session.shared_secret(peer, step) for peer in self._session.peers},
        )
        return Branch(x, label[known], folds, masks, plan, key), plan


def _common(rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """For each partner, which of its aligned pairs have a row that all partners share.

    One partner shares all of its pairs, however often a row is in one.
    """
    every = list(rows.values())
    if len(every) == 1:
        return {name: np.arange(len(own)) for name, own in rows.items()}
    shared = np.unique(every[0])
    for own in every[1:]:
        shared = np.intersect1d(shared, own)
    keep: dict[str, np.ndarray] = {}
    for name, own in rows.items():
        inside = np.flatnonzero(np.isin(own, shared))
        _, first = np.unique(own[inside], return_index=True)
        keep[name] = inside[np.sort(first)]
    return keep
