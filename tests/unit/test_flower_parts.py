"""The parts of Flower that are not public and that hub and node rest on. If this file fails after
an upgrade, read the changelog of Flower's SuperLink before anything else."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
import time
from typing import cast

import flwr
import httpx
import pytest
from flwr.app import ArrayRecord, ConfigRecord, Message, RecordDict
from flwr.common.constant import NOOP_ACCOUNT_NAME, NOOP_FLWR_AID, SUPERLINK_NODE_ID, Status
from flwr.proto.fleet_pb2 import PushMessagesRequest, PushMessagesResponse
from flwr.proto.message_pb2 import PullObjectResponse, PushObjectRequest, PushObjectResponse
from flwr.server.superlink.linkstate import InMemoryLinkState, LinkState
from flwr.supercore.constant import NOOP_FEDERATION_ID, TaskType
from flwr.supercore.task_identity import TaskIdentity
from flwr.superlink.routers.fleet.node_auth import NodeAuthMiddleware
from flwr.supernode.fleet_http_client import FleetHttpClient

from federated.session.reasons import ShutOut
from federated.wire.flower import fleet
from federated.wire.flower.between import error_from, error_of
from federated.wire.flower.guard import _LIMITS
from federated.wire.flower.hub import _superlink
from federated.wire.flower.hub_calls import FleetKeys, _understood
from federated.wire.flower.packing import Packed, pack, parcels_of
from federated.wire.parcels import PART, Kind, notice
from psi.protocol import PeerError, Refused


def test_the_pinned_version() -> None:
    assert flwr.__version__.startswith("1.41.")


@pytest.mark.parametrize(
    ("code", "shut"), [("revoked", True), ("stranger", True), ("version", False)]
)
def test_who_is_shut_out_by_the_hub_is_told_apart(code: str, shut: bool) -> None:
    """From a rule that says no, at the others' screens too; over both of a node's processes."""
    request = httpx.Request("POST", "https://hub")
    answer = httpx.Response(403, json={"code": code, "message": "so"}, request=request)
    error = _understood(httpx.HTTPStatusError("403", request=request, response=answer))
    assert isinstance(error, Refused)
    assert type(error_from(error_of(error))) is type(error)
    assert isinstance(error, ShutOut) == shut


def test_the_superlink_is_in_memory_and_asks_for_registration() -> None:
    app = _superlink()
    assert isinstance(app.state.linkstate_factory.state(), InMemoryLinkState)
    assert app.state.enable_supernode_auth is True
    assert any(m.cls is NodeAuthMiddleware for m in app.user_middleware)
    paths = set(app.openapi()["paths"])  # no control call, no run-time call, no documentation
    assert {f"/v1/fleet/{call}" for call in _LIMITS} <= paths
    assert all(path.startswith("/v1/fleet/") for path in paths)


def test_state_keeps_messages_and_their_one_reply() -> None:
    names = "create_run claim_task activate_task create_node activate_node deactivate_node"
    names += " store_message_and_object_tree start_session store_object get_message_res"
    names += " delete_messages acknowledge_node_heartbeat acknowledge_task_heartbeat get_tasks"
    for name in names.split():
        assert callable(getattr(InMemoryLinkState, name)), name
    parameters = inspect.signature(LinkState.create_run).parameters
    assert list(parameters)[1:9] == [
        "fab_id", "fab_version", "fab_hash", "override_config", "federation_id",
        "federation_config", "flwr_aid", "primary_task_type",
    ]  # fmt: skip
    assert {
        NOOP_ACCOUNT_NAME,
        NOOP_FLWR_AID,
        NOOP_FEDERATION_ID,
        TaskType.SERVER_APP,
        Status.RUNNING,
    }
    assert SUPERLINK_NODE_ID == 1


def test_messages_say_what_guard_and_node_read() -> None:
    assert {"node", "messages_list", "message_object_trees"} <= _fields(PushMessagesRequest)
    assert {"objects_to_push", "session_id"} <= _fields(PushMessagesResponse)
    assert {"object_found", "object_available", "object_content"} <= _fields(PullObjectResponse)
    wanted = {"node", "run_id", "session_id", "object_id", "object_content"}
    assert wanted <= _fields(PushObjectRequest)
    assert "stored" in _fields(PushObjectResponse)
    for name in ("ActivateNode", "PullMessages", "PushMessages", "PullObject", "PushObject"):
        assert callable(getattr(FleetHttpClient, name))


def _fields(message: type) -> set[str]:
    return set(message.DESCRIPTOR.fields_by_name)  # type: ignore[attr-defined]


def test_parcels_through_objects_and_back() -> None:
    data = bytes(range(256)) * (1 << 16)
    parcels = [notice(Kind.CALL, bytes(32), "a", "b", "call", part) for part in (b"x", data[:PART])]
    TaskIdentity.run_id = TaskIdentity.node_id = TaskIdentity.task_id = 1
    to = Message(RecordDict({"c": ConfigRecord({})}), 7, "query.parcels", ttl=60)
    inner = to.metadata.__dict__
    inner["_run_id"], inner["_src_node_id"], inner["_message_id"] = 1, SUPERLINK_NODE_ID, "m"
    packed = Packed(Message(pack([p.to_bytes() for p in parcels]), reply_to=to))
    assert packed.bare.metadata.src_node_id == 7
    assert packed.bare.metadata.reply_to_message_id == "m"
    assert len(packed.objects) <= 16
    assert max(len(o.deflate()) for o in packed.objects.values()) < _LIMITS["push-object"] - 4096
    assert parcels_of(packed.tree, packed.content) == parcels


def test_of_small_parcels_one_object_is_fetched() -> None:
    """Three are made; the hub holds the others for nobody until the message is confirmed."""
    parcels = [notice(Kind.CALL, bytes(32), "a", "b", "call", bytes([n])) for n in range(3)]
    packed, fetched = _packed(pack([p.to_bytes() for p in parcels])), list[str]()

    def get(name: str) -> bytes:
        fetched.append(name)
        return packed.content(name)

    assert parcels_of(packed.tree, get) == parcels
    assert len(fetched) == 1
    assert len(packed.objects) == 2


@pytest.mark.parametrize(
    "content",
    [
        RecordDict({"small": ArrayRecord()}),
        RecordDict({"small": ConfigRecord({"parcels": 3})}),
        RecordDict({"small": ConfigRecord({"parcels": ["text"]})}),
        RecordDict({"small": ConfigRecord({"parcels": [b"no parcel"]})}),
        RecordDict({"small": ConfigRecord({"parcels": [b""] * 65})}),
        RecordDict({"small": ConfigRecord({"other": 1})}),
    ],
)
def test_a_message_that_is_none_of_ours_is_malformed(content: RecordDict) -> None:
    packed = _packed(content)
    with pytest.raises(PeerError):
        parcels_of(packed.tree, packed.content)


@pytest.mark.parametrize(
    "data", [b"", b"\0", b"ConfigRecord  0\0\xff\xff", b"ConfigRecord  2\0\x0a\xff"]
)
def test_an_object_that_is_none_of_ours_is_malformed(data: bytes) -> None:
    with pytest.raises(PeerError):
        parcels_of(_packed(pack([])).tree, lambda name: data)


def _packed(content: RecordDict) -> Packed:
    TaskIdentity.run_id = TaskIdentity.node_id = TaskIdentity.task_id = 1
    message = Message(content, 7, "query.parcels", ttl=60)
    inner = message.metadata.__dict__
    inner["_run_id"], inner["_src_node_id"] = 1, SUPERLINK_NODE_ID
    return Packed(message)


def test_telemetry_is_off_whatever_the_environment_says() -> None:
    code = "import federated.wire.flower; from flwr.supercore import telemetry as found; "
    code += "print(found.FLWR_TELEMETRY_ENABLED)"
    environment = os.environ | {"FLWR_TELEMETRY_ENABLED": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "0"


def test_a_hub_that_takes_nothing_holds_no_job_at_its_node(monkeypatch: pytest.MonkeyPatch) -> None:
    """What finds no room is let go of after a while: its endpoint sends it again."""
    monkeypatch.setattr(fleet, "client_of", lambda *given: None)
    monkeypatch.setattr(fleet, "FULL_WITHIN", 0.2)
    made = fleet.Fleet("hub:1", cast(FleetKeys, None), lambda parcel: None)
    parcel = notice(Kind.CALL, bytes(32), "a", "b", data=bytes(100))
    for _ in range(made._out.maxsize):
        made.put(parcel)
    full, begun = made.waiting, time.monotonic()
    made.put(parcel)
    assert 0.1 < time.monotonic() - begun < 5
    assert made.waiting == full
    made._out.get_nowait()
    made._out_bytes = 1 << 30
    made.put(parcel)
    assert made._out.qsize() == made._out.maxsize - 1
