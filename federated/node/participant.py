"""One organisation in one job: its keys, tables and policy, from first contact to ledger heads."""

from __future__ import annotations

import datetime as dt
import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from federated.approval.decision import AutoDecider, Decider, Decision, Request, Undecided
from federated.approval.policy import Policy
from federated.contract import completion
from federated.contract.negotiation import Agreed, Approver, Proposer
from federated.contract.release import given, planned
from federated.contract.terms import Contract, PartyTerms, suites_for
from federated.persons.book import PersonBook
from federated.persons.naming import naming
from federated.persons.source import WithoutForgotten
from federated.releases.memory import Releases
from federated.scoring.store import ModelStore
from federated.session.journal import DRAFT
from federated.session.progress import APPROVAL
from federated.session.session import Session
from federated.steps.facts import asked_of_bases, used_columns
from federated.steps.folds import FoldKey
from federated.steps.outcome import Outcome
from federated.steps.release_guard import foresee
from federated.steps.runner import facts_of, run_steps
from federated.steps.work import Work
from federated.store.plain import to_plain
from federated.tables.basis import BasisAsked
from federated.tables.frozen import FrozenColumns
from federated.tables.kept_tables import Extract
from federated.tables.source import Source
from psi.align import PROTOCOLS
from psi.identifiers import check_kind
from psi.protocol import FedprofileError, Refused
from psi.vole import runs_here

__all__ = ["Participant"]

CONTRACT = "contract"

_AT_ONCE = 1.0
"""Seconds in which policy and rules decide: who takes longer waits for a person, and says so."""


class Participant:
    """Runs one job at one party: `propose` at the proposer, `join` at everyone else."""

    def __init__(
        self,
        session: Session,
        source: Source,
        policy: Policy | None = None,
        decider: Decider | None = None,
        stop: threading.Event | None = None,
        kept: Path | None = None,
        releases: Releases | None = None,
        also: Callable[[], Sequence[Extract]] = tuple,
        frozen: FrozenColumns | None = None,
        persons: PersonBook | None = None,
        models: Path | None = None,
        may: Callable[[Source, str], np.ndarray | None] = lambda tables, task: None,
    ) -> None:
        """What outlives a job: `kept`, a folder for prepared tags, the book of `releases`, what
        columns are `frozen` as, the book of `persons` who are in jobs, or in none, and a folder of
        `models`, its parts of those that were trained.

        `also` says what the party needs of its tables beyond the contract's columns; `may` who, of
        the rows of its table, may be on the list of a task; None: all.
        """
        source = WithoutForgotten(source, persons) if persons else source
        self.tables, self._also, self._source = session.tables(source), also, source
        self._may = may
        self._persons = persons
        self._releases = releases
        self._models = None if models is None else ModelStore(models, session.random)
        self._session, self._kept, self._frozen = session, kept, frozen
        self._decider = decider or AutoDecider(session.name, source, policy)
        self._stop = stop or threading.Event()
        self._considered = ""
        self._salt = session.keep("salt", lambda: secrets.token_bytes(32))

    def propose(
        self, draft: Contract, complete: Callable[[Contract], Contract]
    ) -> tuple[Agreed, Outcome]:
        """Draft, collect everyone's facts and signatures, run the steps.

        This party's own policy and officers are asked first, unless `consider` was called.
        """
        if not self._session.resumed:
            self.consider(draft)

        def finish(contract: Contract) -> Contract:
            final = complete(contract)
            self._approve(final)
            return final

        def role() -> Proposer:
            asked = Contract.from_bytes(self._session.keep(DRAFT, draft.to_bytes))
            own = self._facts(asked)
            context = self._session.context(CONTRACT)
            return Proposer(context, self._session.keys, asked.with_party(own), finish)

        return self._run(role)

    def join(self) -> tuple[Agreed, Outcome]:
        """Wait for a draft, state facts, approve by policy, run the steps."""
        return self._run(
            lambda: Approver(
                self._session.context(CONTRACT),
                self._session.keys,
                self._session.pinned,
                self._facts,
                approve=self._approve_signed,
                complete=completion.complete,
                consider=self.consider,
            )
        )

    def _run(self, role: Callable[[], Proposer | Approver]) -> tuple[Agreed, Outcome]:
        """The whole job; whatever goes wrong is told to the others before it is raised."""
        try:
            first = role()
            self._session.connect()
            agreed = self._session.run(CONTRACT, first)
            self._session.bind(agreed)
            if self._session.resumed:
                self._decider.check(agreed.contract)  # the policy may be another by now
            gone = self._expired(agreed.contract)
            self._note_persons(agreed.contract, gone)
            work = Work(
                self._session,
                agreed.contract,
                self.tables,
                self._salt,
                kept=self._kept,
                releases=self._releases,
                gone=gone,
                models=self._models,
                may=lambda task: self._may(self.tables, task),
            )
            outcome = run_steps(work)
            if self._persons and (agreed.contract.known or self._receives(agreed.contract)):
                self._persons.match(agreed.contract.nonce, outcome.rows, gone)
            self._session.finish()
        except BaseException as error:
            self._session.abort(error)
            raise
        return agreed, outcome

    def _receives(self, contract: Contract) -> bool:
        """Whether this party alone learns which rows are shared."""
        told = all(terms.reveal == "receiver" for terms in contract.align)
        return bool(contract.align) and told and contract.receiver == self._session.name

    def _note_persons(self, contract: Contract, gone: np.ndarray | None) -> None:
        """Before the first step: who is in this job, for a person who asks later."""
        if self._persons is None:
            return
        me = contract.party(self._session.name)
        there = [c for c in naming(self.tables, me.table) if c in self.tables.columns(me.table)]
        keys = [column for level in me.keys for column in level]
        columns = list(dict.fromkeys([*there, *keys]))
        table = self.tables.load(me.table, columns, keys=columns)
        self._persons.admit(contract, me.name, self.tables, table, gone)

    def _facts(self, draft: Contract) -> PartyTerms:
        """This party's terms with its table's facts and, where there is a choice, its protocols."""
        self._read_tables(draft)
        me = draft.party(self._session.name)
        if draft.score and self._models is None:
            raise Refused(
                f"{me.name} keeps no models, and a scoring is by one",
                hint="run_job(models=), or a party's node or hub, has a folder for them",
            )
        if draft.train and self._models is not None:
            self._models.check_place()
        own = facts_of(me, self.tables, self._salt, draft, self._frozen, self._models)
        own = replace(own, series=self._decider.told_in_series(draft))
        if not any(terms.alternative for terms in draft.align):
            return own
        return replace(own, protocols=self._protocols(draft, own.rows))

    def _read_tables(self, draft: Contract) -> None:
        """Take this job's copy of the tables, unless an earlier life of this party has taken it."""
        me = draft.party(self._session.name)
        for kind in dict.fromkeys(kind for level in me.kinds for kind in level):
            check_kind(kind)  # a missing package is told before a table is read
        keys = tuple(column for level in me.keys for column in level)
        own = Extract(me.table, tuple(used_columns(me)), keys)
        if self.tables.holds(own):
            return
        self.tables.keep(
            [own, *self._remembered(draft, own), *self._naming(draft, own), *self._also()],
            self._asked_of_bases(draft),
        )
        admission = self.tables.admission(me.table)
        if admission is not None:
            admitted = int(admission.rows.sum())
            self._session.ledger.once(
                "admitted", table=me.table, rows=admitted, left_out=admission.left_out
            )

    def _asked_of_bases(self, contract: Contract) -> BasisAsked:
        """What this party's rows must have a basis for: today, towards whoever learns of them."""
        day = dt.datetime.fromtimestamp(self._session.clock()).date()
        return asked_of_bases(contract, self._session.name, day)

    def _expired(self, contract: Contract) -> np.ndarray | None:
        """Rows that have lost their basis since the contract was agreed on; None for none."""
        table = contract.party(self._session.name).table
        gone = self.tables.expire(table, self._asked_of_bases(contract))
        admission = self.tables.admission(table)
        if not gone or admission is None:
            return None
        self._session.ledger.once("admitted", table=table, expired=gone)
        return ~admission.rows

    def _naming(self, draft: Contract, own: Extract) -> list[Extract]:
        """What the deal of folds needs: columns that named this receiver's records so far."""
        dealt = any(train.split == "vertical" and train.folds for train in draft.train)
        if self._kept is None or not dealt or self._session.name != draft.receiver:
            return []
        there = set(self._source.columns(own.table)) - set(own.columns)
        named = tuple(column for column in FoldKey.naming(self._kept) if column in there)
        return [Extract(own.table, named, named)]

    def _remembered(self, draft: Contract, own: Extract) -> list[Extract]:
        """What the book of releases needs: columns that named entities, and that were told of."""
        me, book = draft.party(self._session.name), self._releases
        asked = [release for release in planned(draft, me.name) if release.columns]
        if book is not None and me.name == draft.receiver and not asked:
            partners = {name for name, _ in given(draft)}
            known = {c for to in partners for c in book.weighed(me.table, to, every=True)}
            known &= set(self._source.columns(me.table)) - set(own.columns)
            return [Extract(me.table, tuple(sorted(known)))] if known else []
        if book is None or not asked:
            return []
        naming = book.naming(me.table, draft.receiver)
        named = tuple(column for column in naming if column not in own.columns)
        found, there = [Extract(me.table, named, named)], set[str]()
        told = book.weighed(me.table, draft.receiver, every=True)
        if told:
            there = set(self._source.columns(me.table)) - {*own.columns, *named}
        return [*found, Extract(me.table, tuple(c for c in told if c in there))]

    def _protocols(self, draft: Contract, rows: int) -> tuple[str, ...]:
        """Protocols that the policy would approve for this draft and that this machine can run."""
        found = []
        for name in PROTOCOLS:
            align = tuple(replace(t, protocol=name, alternative="") for t in draft.align)
            asked = replace(draft, align=align, suites=suites_for(align))
            asked = replace(asked, aggregate=(), join_sum=(), category=(), train=(), score=())
            try:
                self._decider.allows(asked)
            except Refused:
                continue
            if not PROTOCOLS[name].blocks or runs_here(rows):
                found.append(name)
        return tuple(found)

    def consider(self, draft: Contract) -> None:
        """Have policy or officer decide on a draft; raises `Declined` where they say no."""
        if self._considered == draft.nonce:
            return
        if self._allows(draft):  # what policy refuses is refused before a table is read
            self._foresee(draft, draft=True)
        request = Request(self._session.id, self._session.name, draft, self._session.clock())
        waits = threading.Timer(_AT_ONCE, self._session.tell, (APPROVAL, 0.0))
        waits.daemon = True
        waits.start()
        try:
            decision = self._decided(request)
        finally:
            waits.cancel()
            waits.join()
        self._session.tell(CONTRACT, 0.0)
        word = "approved" if decision.approved else "refused"
        said = {"by": decision.by, "why": decision.why, **decision.signed}
        if decision.words:  # what they signed is a hash of this
            said["draft"] = to_plain(draft)
        self._session.ledger.once(word, **said, **_named(draft))
        decision.enforce()
        self._considered = draft.nonce

    def _allows(self, draft: Contract) -> bool:
        try:
            self._decider.allows(draft)
        except Refused:
            return False
        return True

    def _decided(self, request: Request) -> Decision:
        """The word of policy or officer; whoever leaves for good meanwhile ends the wait."""
        left: list[FedprofileError] = []

        def leaves(error: FedprofileError) -> None:
            left.append(error)
            self._stop.set()

        with self._session.listening(leaves):
            try:
                return self._decider.decide(request, self._stop)
            except Undecided as error:
                raise (left[0] if left else error) from None

    def _approve_signed(self, contract: Contract) -> None:
        contract.check_time(self._session.clock())
        self._approve(contract)

    def _approve(self, contract: Contract) -> None:
        self._foresee(contract)
        self._decider.check(contract)

    def _foresee(self, contract: Contract, *, draft: bool = False) -> None:
        """The book of releases before anybody else: no officer is asked for what it refuses."""
        me = self._session.name
        try:
            tables = self._source if draft else self.tables  # the job's copy comes after a yes
            foresee(contract, me, tables, self._releases, draft=draft)
        except Refused as error:
            why = error.message
            self._session.ledger.once("refused", by="guard", why=why, **_named(contract))
            raise


def _named(contract: Contract) -> dict[str, str]:
    """What a line on a decision says of the job: a denied one has no other that names it."""
    return {
        "job": contract.job,
        "purpose": contract.purpose,
        "proposer": contract.proposer,
    }
