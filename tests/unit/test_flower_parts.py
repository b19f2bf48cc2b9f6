"""The parts of Flower that are not public and that hub and node rest on. If this file fails after
an upgrade, read the changelog of Flower's SuperLink before anything else."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys

import flwr
from flwr.app import ConfigRecord, Message, RecordDict
from flwr.common.constant import NOOP_ACCOUNT_NAME, NOOP_FLWR_AID, SUPERLINK_NODE_ID, Status
from flwr.proto.fleet_pb2 import PushMessagesRequest, PushMessagesResponse
from flwr.proto.message_pb2 import PullObjectResponse, PushObjectRequest, PushObjectResponse
from flwr.server.superlink.linkstate import InMemoryLinkState, LinkState
from flwr.supercore.constant import NOOP_FEDERATION_ID, TaskType
from flwr.supercore.task_identity import TaskIdentity
from flwr.superlink.main import create_app
from flwr.superlink.routers.fleet.node_auth import NodeAuthMiddleware
from flwr.supernode.fleet_http_client import FleetHttpClient

from federated.wire.flower.guard import _LIMITS
from federated.wire.flower.hub import _superlink
from federated.wire.flower.packing import Packed, objects_of, pack, parcels_in
from federated.wire.parcels import PART, Kind, notice


def test_the_pinned_version() -> None:
    assert flwr.__version__.startswith("1.41.")


def test_the_superlink_is_in_memory_and_asks_for_registration() -> None:
    app = _superlink()
    assert isinstance(app.state.linkstate_factory.state(), InMemoryLinkState)
    assert app.state.enable_supernode_auth is True
    assert any(m.cls is NodeAuthMiddleware for m in app.user_middleware)


def test_every_call_that_the_guard_serves_exists() -> None:
    spec = create_app().openapi()["paths"]
    assert {f"/v1/fleet/{call}" for call in _LIMITS} <= set(spec)


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
    again = objects_of(packed.tree, packed.content)
    assert list(parcels_in(again)) == parcels


def test_telemetry_is_off_whatever_the_environment_says() -> None:
    code = "import federated.wire.flower; from flwr.supercore import telemetry as found; "
    code += "print(found.FLWR_TELEMETRY_ENABLED)"
    environment = os.environ | {"FLWR_TELEMETRY_ENABLED": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "0"
