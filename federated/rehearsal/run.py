"""Run a job with one real party, and list what it sent and what came in.

The list is read from the ledger that the party's session wrote, the same that a real run would
leave, so that it holds every message and none beside. `sealed` in the sizes: what travels is the
ciphertext, a few bytes longer than its contents.
"""

from __future__ import annotations

import secrets
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from federated.approval.decision import AutoDecider, Decision, Request
from federated.approval.policy import ONE_PROCESS, Limits, Policy
from federated.contract.disclosures import disclosures
from federated.contract.kinds.train import hidden
from federated.contract.summed import AGGREGATE_PROTOCOLS
from federated.contract.terms import Contract
from federated.hidden_trees.plan import FEWEST_ROWS
from federated.keys.party_keys import PartyKeys
from federated.ledger.lines import read_ledger
from federated.ledger.listing import messages_of
from federated.node.in_process import Player, first_failed, play
from federated.node.participant import Participant
from federated.rehearsal.excerpt import Excerpt
from federated.rehearsal.invented import invented_table, key_rows
from federated.rehearsal.invented_parts import Parts
from federated.releases.limits import ReleaseLimits
from federated.releases.memory import Releases
from federated.session.routers import MemoryRouter
from federated.session.session import Progress, Session
from federated.steps.facts import load_table
from federated.steps.release_guard import foresee
from federated.tables.source import MemorySource, Source
from psi.align import PROTOCOLS
from psi.protocol import Declined, FedprofileError, InputError

__all__ = ["ROWS", "Exchange", "Rehearsal", "rehearse"]

ROWS = 10_000
"""Rows of this party's table that a rehearsal takes unless it is told otherwise."""

_SPARE = 20
_ANY = Policy(
    limits=Limits(
        minimum_group=0, unnoised_categories=True, unnoised_join_sums=True,
        unnoised_labels=True,
        largest_epsilon=10**9, key_bits=0,
        score_vectors=10**9, protocols=tuple(PROTOCOLS),
        aggregate_protocols=AGGREGATE_PROTOCOLS,
    ),
    releases=ReleaseLimits(
        releases_per_column=10**9, epsilon_per_column=1e9, thresholds_per_column=10**9,
        label_bits=1e9,
    ),
)  # fmt: skip
"""What the invented parties allow: whether the real ones would is theirs to say."""


@dataclass(frozen=True)
class Exchange:
    """Messages of one kind in one step, one way: `sent` to `peer` or `received` from it.

    Attributes:
        message: the name of its class.
        count: how many.
        bytes: of all of them.
    """

    step: str
    way: str
    peer: str
    message: str
    count: int
    bytes: int


@dataclass(frozen=True, kw_only=True)
class Rehearsal:
    """What a rehearsal found. `contract` is as far as it came: the final one, or the draft.

    `ended` is empty if all steps were run, else why not. `rows` of the table's `of` were taken;
    `around` are bytes beside the messages: handshakes and the frames' own fields. `either` says
    that the draft leaves the protocol of set intersection open, `refused` why this party's policy
    says no. `named` are the columns that the table's owner names as keys.

    Attributes:
        me: this party's name.
        others: rows of each other party, invented.
        shared: how many rows were shared.
        seconds: that it took.
    """

    contract: Contract
    me: str
    messages: tuple[Exchange, ...]
    rows: int
    of: int
    others: dict[str, int]
    shared: int
    around: int
    seconds: float
    either: bool = False
    ended: str = ""
    refused: str = ""
    named: tuple[str, ...] = ()

    def amount(self, way: str) -> int:
        """Bytes of all messages that were "sent", or "received"."""
        return sum(entry.bytes for entry in self.messages if entry.way == way)


def rehearse(
    draft: Contract,
    me: str,
    source: Source,
    policy: Policy,
    *,
    rows: int = ROWS,
    models: Path | None = None,
    progress: Progress | None = None,
    clock: Callable[[], float] = time.time,
) -> Rehearsal:
    """Play `draft` with the tables of the party `me`, of which at most `rows` are read (0: all).

    Where the draft demands a larger overlap, or more rows, more are taken. Raises `InputError`
    where the table has no key to match by, whatever reading the table raises, and for a scoring
    `Refused` where this party has no such part of a model.

    Args:
        source: this party's tables.
        policy: this party's policy: what it allows.
        models: the folder of its parts of models, which scorings take; it is read only.
        progress: is told (party, step, share).
        clock: seconds since 1970.
    """
    begun = time.monotonic()
    least = max((terms.minimum_overlap for terms in draft.align), default=0)
    if any(hidden(terms) for terms in draft.train):
        least = max(least, FEWEST_ROWS)
    wanted = least + least // 4 + _SPARE
    excerpt = Excerpt(source, max(rows, wanted) if rows else 0)
    keys = {terms.name: PartyKeys.generate(terms.name) for terms in draft.parties}
    contract = _redated(draft, keys, clock())
    table = load_table(contract.party(me), excerpt)
    shared = _shared(contract, me, table, wanted)
    parts = Parts.of(contract, me, table, models)
    others = {name: _size(contract, shared.num_rows) for name in keys if name != me}
    rng = np.random.default_rng()
    deciders = {me: _Decider(me, excerpt, policy, source)}
    for name, size in others.items():
        invented = invented_table(contract, name, me, shared, size, rng)
        made = MemorySource({contract.party(name).table: invented})
        deciders[name] = _Decider(name, made, _ANY)
        parts.invent(contract, name, invented, rng)
    router = MemoryRouter(list(keys))
    with tempfile.TemporaryDirectory(prefix="fedprofile-rehearsal-") as place:
        shown = (me, progress)
        players = _players(contract, keys, deciders, router, Path(place), clock, shown, parts)
        play(router, players)
        messages = _exchanges(Path(place) / me / "ledger.jsonl")
    (result,) = (player.result for player in players if player.name == me)
    carried = sum(size for way, size in router.bytes_sent.items() if me in way)
    return Rehearsal(
        contract=result[0].contract if result else contract,
        me=me,
        messages=messages,
        rows=table.num_rows,
        of=excerpt.sizes[contract.party(me).table],
        others=others,
        shared=shared.num_rows,
        around=carried - sum(entry.bytes for entry in messages),
        seconds=time.monotonic() - begun,
        either=any(terms.alternative for terms in draft.align),
        ended=_why(players, me),
        refused=deciders[me].refused,
        named=tuple(source.keys(contract.party(me).table)),
    )


def _players(
    contract: Contract,
    keys: Mapping[str, PartyKeys],
    deciders: Mapping[str, _Decider],
    router: MemoryRouter,
    place: Path,
    clock: Callable[[], float],
    shown: tuple[str, Progress | None],
    parts: Parts,
) -> list[Player]:
    """Every party with a session of its own in `place`; the progress of one is `shown`."""
    pinned, found = {name: keys[name].identity for name in keys}, list[Player]()
    for name, decider in deciders.items():
        session = Session(
            bytes.fromhex(contract.nonce), keys[name], pinned, router.endpoint(name),
            place / name, clock=clock, progress=shown[1] if name == shown[0] else None,
        )  # fmt: skip
        kept = parts.write(name, place / f"models of {name}")
        participant = Participant(session, decider.source, decider=decider, models=kept)
        found.append(Player(session, participant, contract if name == contract.proposer else None))
    return found


class _Decider(AutoDecider):
    """The party's policy, asked as the node asks it, without officers, peers or counts.

    With the `whole` tables its limits of releases are asked too, as of a node that has told
    nothing yet: what a row holds is less in an excerpt.
    """

    def __init__(
        self, name: str, source: Source, policy: Policy, whole: Source | None = None
    ) -> None:
        super().__init__(name, source, policy)
        self.source, self.refused, self._whole, self._limits = source, "", whole, policy.releases

    def decide(self, request: Request, stop: threading.Event) -> Decision:
        del stop
        try:
            self.check(request.contract)
        except Declined as no:
            return Decision(False, "policy", no.message)
        return Decision(True, "rehearsal")

    def allows(self, contract: Contract) -> None:
        super().check(contract)  # what is only tried is no refusal

    def check(self, contract: Contract) -> None:
        try:
            super().check(contract)
            if self._whole is not None and self._policy is not ONE_PROCESS:  # which has no book
                self._foresee(contract, self._whole)
        except Declined as no:
            self.refused = no.message
            raise

    def _foresee(self, contract: Contract, whole: Source) -> None:
        """The guard of releases with an empty book. Raises `OverBudget`."""
        with tempfile.TemporaryDirectory(prefix="fedprofile-rehearsal-") as place:
            book = Releases(Path(place), self._limits, secrets.token_bytes, time.time)
            foresee(contract, self._name, whole, book, draft=True)


def _redated(draft: Contract, keys: dict[str, PartyKeys], now: float) -> Contract:
    """The draft with keys that are thrown away, a nonce of its own, valid now."""
    parties = tuple(
        replace(
            terms,
            organisation=keys[terms.name].identity.organisation.hex(),
            sealing=keys[terms.name].identity.sealing.hex(),
            rows=0,
            snapshot="",
            protocols=(),
            design_columns=(),
        )
        for terms in draft.parties
    )
    lasts = draft.expires - draft.not_before
    contract = replace(
        draft,
        parties=parties,
        nonce=secrets.token_bytes(32).hex(),
        not_before=int(now) - 1,
        expires=int(now) - 1 + lasts,
    )
    return replace(contract, disclosures=disclosures(contract))


def _shared(contract: Contract, me: str, table: pa.Table, wanted: int) -> pa.Table:
    """Those of this party's rows, by its key columns, that the others are to have as well."""
    terms = contract.party(me)
    if not terms.keys:
        return pa.table({})
    most = min(max(wanted, table.num_rows // 2), *_caps(contract))
    rows = key_rows(terms, table, most)
    if not len(rows):
        raise InputError(
            f"{terms.table}: no row has a usable key", hint="fedprofile preflight says why"
        )
    columns = list(dict.fromkeys(column for level in terms.keys for column in level))
    return table.select(columns).take(pa.array(rows))


def _size(contract: Contract, shared: int) -> int:
    """Rows of an invented party: those it shares, and a quarter more."""
    return min(max(shared + shared // 4 + _SPARE, 200), *_caps(contract))


def _caps(contract: Contract) -> list[int]:
    """The most items that a set may have."""
    most = [terms.largest_set for terms in contract.align]
    most += [terms.keep_tags_items for terms in contract.align if terms.keep_tags_days]
    return [*most, 1 << 30, 1 << 30]


def _exchanges(ledger: Path) -> tuple[Exchange, ...]:
    """All messages in the ledger, those of one kind in one step and way together."""
    found: dict[tuple[str, str, str, str], tuple[int, int]] = {}
    for line in read_ledger(ledger):
        if line["kind"] in ("sent", "received"):
            body = line["body"]
            for kind, (count, size) in messages_of(body).items():
                key = (_place(body["step"]), line["kind"], body["peer"], kind)
                before = found.get(key, (0, 0))
                found[key] = (before[0] + count, before[1] + size)
    order = dict.fromkeys(step for step, *_ in found)
    return tuple(
        Exchange(*key, *sums) for step in order for key, sums in found.items() if key[0] == step
    )


def _place(step: str) -> str:
    """The step, with all rounds of horizontal training as one."""
    kind, _, last = step.rpartition("/")
    together = step.startswith("train/") and (last.isdecimal() or last == "model") and "/" in kind
    return kind if together else step


def _why(players: list[Player], me: str) -> str:
    """Why the rehearsal did not come to its end; empty if it did."""
    failed = first_failed(players)
    if failed is None or failed.error is None:
        return ""
    error = failed.error
    if not isinstance(error, FedprofileError):
        raise error
    where = "" if failed.name == me else f"at the invented {failed.name}: "
    step = f" (step {error.step})" if error.step else ""
    return f"{where}{error.message}{step}"
