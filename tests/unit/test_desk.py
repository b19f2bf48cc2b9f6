"""Calls, decisions before facts, key files, limits: what stands at a node's door."""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from federated.approval.call import make_call, read_call
from federated.approval.decision import AutoDecider, Call, Decision, Request
from federated.contract.completion import complete
from federated.contract.terms import Contract, SeriesTold
from federated.keys.keyfile import load_keys, save_keys
from federated.keys.party_keys import PartyKeys
from federated.ledger.lines import read_ledger
from federated.node.home import NodeHome
from federated.node.participant import Participant
from federated.session.routers import MemoryRouter
from federated.session.session import Session
from federated.steps.byte_limits import BEFORE_CONTRACT, step_limit
from federated.tables.source import MemorySource
from profiles.job import Job
from profiles.proposal import draft
from psi.protocol import EnvironmentFailed, InputError, MisuseError, PeerError, PeerGone, Refused
from tests.e2e.conftest import JOB

KEYS = {name: PartyKeys.generate(name) for name in ("bank", "bureau", "other")}
ALL = {name: keys.identity for name, keys in KEYS.items()}
TWO = {name: ALL[name] for name in ("bank", "bureau")}
NONCE = bytes(range(32))


def test_a_call_is_read_by_those_who_know_all_its_parties() -> None:
    data = make_call(NONCE, KEYS["bank"], TWO)
    call = read_call(data, "bureau", ALL)
    assert (call.session, call.proposer) == (NONCE, "bank")
    assert call.party("bureau") == ALL["bureau"]
    assert call.party("nobody") is None


def test_calls_that_are_refused() -> None:
    data = make_call(NONCE, KEYS["bank"], TWO)
    with pytest.raises(Refused, match="not among this node's peers"):
        read_call(data, "bureau", {"bureau": ALL["bureau"]})
    swapped = ALL | {"bank": PartyKeys.generate("bank").identity}
    with pytest.raises(PeerError, match="not signed by bank"):
        read_call(data, "bureau", swapped)
    three = make_call(NONCE, KEYS["bank"], ALL)
    with pytest.raises(Refused, match="other has another key here"):
        read_call(three, "bureau", TWO | {"other": PartyKeys.generate("other").identity})
    with pytest.raises(PeerError, match="does not name"):
        read_call(data, "other", ALL)
    with pytest.raises(Refused, match="stale"):
        read_call(data, "bureau", ALL, time.time() + 30 * 24 * 3600)
    with pytest.raises(PeerError, match="not signed"):
        read_call(data[:-1] + bytes([data[-1] ^ 1]), "bureau", ALL)
    for cut in (0, 1, 40, len(data) - 1):
        with pytest.raises(PeerError):
            read_call(data[:cut], "bureau", ALL)


class Officer:
    """Says no, after having looked at the draft."""

    def __init__(self) -> None:
        self.seen: list[Request] = []

    def admit(self, call: Call) -> Decision:
        return Decision(True, "rule")

    def decide(self, request: Request, stop: threading.Event) -> Decision:
        self.seen.append(request)
        return Decision(False, "officer K.", "not this purpose")

    def allows(self, contract: Contract) -> None:
        """Its rules have no objection to the draft: he is asked."""

    def told_in_series(self, contract: Contract) -> tuple[SeriesTold, ...]:
        raise AssertionError("asked about a contract that was refused")

    def check(self, contract: Contract) -> None:
        raise AssertionError("asked about a contract that was refused")


class Untouched(MemorySource):
    """A source that must not be read."""

    def load(self, *args: object, **options: object) -> pa.Table:
        raise AssertionError("the table was read before the decision")


def test_an_officer_says_no_before_anything_is_said_about_the_table(tmp_path: Path) -> None:
    (tmp_path / "job.toml").write_text(JOB)
    job = Job.load(tmp_path / "job.toml")
    bank = pa.table(
        {name: [f"a{i}" for i in range(60)] for name in ("id", "name", "segment")}
        | {name: [float(i) for i in range(60)] for name in ("balance", "tenure")}
        | {"churned": [i % 2 for i in range(60)]}
    )
    router, officer = MemoryRouter(list(TWO)), Officer()
    sources = {"bank": MemorySource({"bank.consumers": bank}), "bureau": Untouched({})}
    errors: dict[str, BaseException] = {}

    def run(name: str) -> None:
        session = Session(
            NONCE, KEYS[name], TWO, router.endpoint(name), tmp_path / name, timeout=20
        )
        decider = officer if name == "bureau" else AutoDecider(name, sources[name])
        participant = Participant(session, sources[name], decider=decider)
        try:
            if name == "bank":
                asked = draft(job, TWO, NONCE, time.time())
                participant.propose(asked, complete)
            else:
                participant.join()
        except BaseException as error:
            errors[name] = error

    threads = [threading.Thread(target=run, args=(name,)) for name in TWO]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert isinstance(errors["bureau"], Refused)
    assert errors["bureau"].hint == "decided by officer K."
    assert isinstance(errors["bank"], PeerGone)
    assert "bureau says no: not this purpose" in str(errors["bank"])
    (request,) = officer.seen
    assert request.contract.party("bureau").rows == 0
    assert len(request.id) == 8
    (line,) = (
        e for e in read_ledger(tmp_path / "bureau" / "ledger.jsonl") if e["kind"] == "refused"
    )
    named = {"job": "small churn", "purpose": "retention", "proposer": "bank"}
    assert line["body"] == {"by": "officer K.", "why": "not this purpose", **named}


def test_keys_at_rest(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    save_keys(path, KEYS["bank"], b"correct horse", secrets.token_bytes)
    assert load_keys(path, b"correct horse").identity == ALL["bank"]
    assert KEYS["bank"].private_bytes()[:32] not in path.read_bytes()
    with pytest.raises(InputError, match="does not open"):
        load_keys(path, b"wrong")
    altered = bytearray(path.read_bytes())
    altered[-1] ^= 1
    path.write_bytes(altered)
    with pytest.raises(InputError, match="does not open"):
        load_keys(path, b"correct horse")
    path.chmod(0o640)
    with pytest.raises(EnvironmentFailed, match="others can read it"):
        load_keys(path, b"correct horse")


def test_a_nodes_folder(tmp_path: Path) -> None:
    home = NodeHome.create(tmp_path / "node", "bureau", "hub.example:8443")
    assert NodeHome.open(tmp_path / "node") == home
    assert (tmp_path / "node").stat().st_mode & 0o777 == 0o700
    with pytest.raises(MisuseError, match="holds a node already"):
        NodeHome.create(tmp_path / "node", "bureau", "hub.example:8443")
    with pytest.raises(InputError, match="no party's folder"):
        NodeHome.open(tmp_path / "nowhere")


def test_limits_grow_with_the_contract(tmp_path: Path) -> None:
    (tmp_path / "job.toml").write_text(JOB)
    contract = draft(Job.load(tmp_path / "job.toml"), TWO, NONCE, time.time())
    assert step_limit(None, "align/bureau/0") == BEFORE_CONTRACT
    for step in ("handshake", "contract", "finish", "abort", "progress"):
        assert step_limit(contract, step) == BEFORE_CONTRACT
    made_up = ["no such step", "align", "align/bureau", "align/bank/0", "align/bureau/7"]
    made_up += [
        "align/bureau/0/x",
        "aggregate/1/bureau",
        "known/bank",
        "train/other",
        "category/0/x",
    ]
    assert {step_limit(contract, step) for step in made_up} == {0}
    for step in (
        "align/bureau/count",
        "align/bureau/order",
        "known/bureau",
        "rows/bureau",
        "select",
    ):
        assert step_limit(contract, step) > BEFORE_CONTRACT
    grown = sized(contract, bank=10**6, bureau=10**6)
    for step in ("align/bureau/0", "aggregate/0/bureau", "train/churn"):
        assert BEFORE_CONTRACT < step_limit(contract, step) < step_limit(grown, step)


def sized(made: Contract, **rows: int) -> Contract:
    for name, count in rows.items():
        made = made.with_party(replace(made.party(name), rows=count, design_columns=(4,)))
    return made


def test_a_peers_word_on_its_own_table_raises_no_limit_beyond_what_is_agreed(
    tmp_path: Path,
) -> None:
    """Rows and columns are what each party says: 2^40 of them would let a flood through."""
    (tmp_path / "job.toml").write_text(JOB)
    contract = draft(Job.load(tmp_path / "job.toml"), TWO, NONCE, time.time())
    align = (replace(contract.align[0], largest_set=10**6),)
    contract = sized(replace(contract, align=align), bank=5000, bureau=10**6)
    lying = sized(contract, bureau=2**40)
    wide = lying.with_party(replace(lying.party("bureau"), design_columns=(2**40,)))
    for step in ("align/bureau/0", "known/bureau", "select"):
        assert step_limit(lying, step) == step_limit(contract, step)
    small = sized(contract, bureau=5000)
    for step in ("rows/bureau", "aggregate/0/bureau"):
        assert step_limit(lying, step) == step_limit(small, step)
    assert step_limit(wide, "train/churn") < 2 * 5000 * 1000 * 20 + 512 * 5000**2 * 10
    paired = tuple(replace(a, duplicates="join") for a in align)
    assert step_limit(replace(wide, align=paired), "rows/bureau") < 2**50


def test_rounds_beyond_the_contracts_bring_nothing(tmp_path: Path) -> None:
    """A step of any name would have bytes of its own, ten thousand of them for each task."""
    (tmp_path / "job.toml").write_text(JOB)
    contract = draft(Job.load(tmp_path / "job.toml"), TWO, NONCE, time.time())
    train = replace(
        contract.train[0], split="horizontal", steps=2, folds=5, row_bits=1, evaluations=0
    )
    pooled = sized(replace(contract, train=(train,), align=(), aggregate=()), bureau=2**40)
    allowed = [f"train/churn/{number}" for number in range(6)]
    for step in [*allowed, "train/churn/model"]:
        assert BEFORE_CONTRACT < step_limit(pooled, step) < 1 << 25
    for step in ("train/churn/6", "train/churn/03", "train/churn/9999", "train/churn/x"):
        assert step_limit(pooled, step) == 0
    assert step_limit(pooled, "train/churn/\u0661") == 0
    assert {step_limit(contract, step) for step in [*allowed, "train/churn/model"]} == {0}
