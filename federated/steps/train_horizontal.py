"""One model over rows that are at different parties, at one of them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from federated.contract.terms import Contract, TrainTerms
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
from federated.horizontal.model_file import MODEL_FILE, RowsModel
from federated.horizontal.plan import LEAST
from federated.steps.step import Step
from federated.steps.work import Work
from federated.tables.matrix import known_labels, numeric_matrix
from psi.protocol import InputError, Refused

__all__ = ["TrainHorizontal"]


class TrainHorizontal(Step):
    """Each round of a task is a step: the receiver asks, every party's rows answer under masks."""

    def __init__(self, work: Work) -> None:
        self._work = work

    @staticmethod
    def check(contract: Contract, party: str, table: pa.Table) -> None:
        terms = contract.party(party)
        for train in contract.train:
            if train.split == "horizontal":
                rows = len(_labelled(table, train, terms.features, terms.table)[1])
                if rows < LEAST:
                    raise Refused(
                        f"{terms.table}: {rows} rows with a label {train.label!r}, at least "
                        f"{LEAST} needed"
                    )

    def run(self) -> None:
        for terms in self._work.contract.train:
            if terms.split == "horizontal":
                self._train(terms)

    def _train(self, terms: TrainTerms) -> None:
        work, step = self._work, f"train/{terms.task}"
        if not work.receives:
            work.reserve(step, hidden=True)  # once, for all rounds
        branch, plan = self._branch(terms, step)
        context = work.session.context
        if work.receives:
            fit = self._conduct(step, branch, plan)
        else:
            asker = [work.contract.receiver]
            for number in range(plan.rounds):
                named = f"{step}/{number}"
                work.run(named, AnswerRound(context(named), plan, number, branch.answer), asker)
            fit = work.run(f"{step}/model", HearModel(context(f"{step}/model"), plan), asker)
        self._leave(terms, fit)
        work.outcome.horizontal.append((terms, fit))
        work.disclosed(f"train {terms.task}", rows=fit.rows)

    def _leave(self, terms: TrainTerms, fit: HorizontalFit) -> None:
        """The model stays in the party's job folder: it scores its own rows by it when it likes."""
        contract, session = self._work.contract, self._work.session
        model = RowsModel(
            task=terms.task,
            label=terms.label,
            positive=terms.positive,
            features=self._work.me.features,
            parties=tuple(party.name for party in contract.parties),
            contract=contract.digest.hex(),
            purpose=contract.purpose,
            made=int(session.clock()),
            fit=fit,
        )
        session.leave(MODEL_FILE, model.text())

    def _conduct(self, step: str, branch: Branch, plan: Plan) -> HorizontalFit:
        from federated.flower.server_app import conduct  # Flower, where it is needed only

        session, me, peers = self._work.session, self._work.session.name, self._work.session.peers

        def ask(question: Question) -> dict[str, np.ndarray]:
            named = f"{step}/{question.number}"
            role = AskRound(session.context(named), peers, question, plan)
            return session.run(named, role) | {me: branch.answer(question)}

        fit = conduct(plan, [me, *peers], ask)
        return session.run(f"{step}/model", TellModel(session.context(f"{step}/model"), peers, fit))

    def _branch(self, terms: TrainTerms, step: str) -> tuple[Branch, Plan]:
        work, session, me = self._work, self._work.session, self._work.me
        x, label = _labelled(work.table, terms, me.features, me.table)
        parties = len(work.contract.parties)
        plan = Plan(x.shape[1], terms.folds, terms.steps, terms.row_bits, parties)
        kept = session.keep(f"noise-{terms.task.encode().hex()}", lambda: session.random(32))
        key = NoiseKey(kept)
        folds = np.full(len(x), -1, np.int64)
        if terms.folds:  # by a seed of this party's own: who knows the contract's knows no label
            folds = stratified_folds(label, terms.folds, key.seed(b"folds"))
        secrets = {peer: session.shared_secret(peer, step) for peer in session.peers}
        return Branch(x, label, folds, SecureSum(session.name, secrets), plan, key), plan


def _labelled(
    table: pa.Table, terms: TrainTerms, features: tuple[str, ...], where: str
) -> tuple[np.ndarray, np.ndarray]:
    """`float64[n, features]` and the labels of the rows that have one."""
    label = known_labels(table, terms.label, positive=terms.positive, where=where)
    x = numeric_matrix(table, features, where=where)[label >= 0]
    missing = int(np.isnan(x).sum())
    if missing:
        raise InputError(
            f"{where}: {missing:,} feature values are missing",
            hint="fill them in before horizontal training",
        )
    return x, label[label >= 0]
