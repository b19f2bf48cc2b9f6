"""Parcels in Flower messages, and Flower messages in their objects.

Small parcels go together into one ConfigRecord (three objects a message); large ones into an
ArrayRecord, which Flower cuts into objects of 5 MB. Together with `relay` and `fleet`
this imports parts of Flower that are not public: flwr is pinned, and a contract test fails
loudly when they move.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, RecordDict
from flwr.proto.message_pb2 import ObjectTree
from flwr.supercore.inflatable.inflatable_object import (
    InflatableObject,
    get_all_nested_objects,
    get_object_tree,
    iterate_object_tree,
    no_object_id_recompute,
)
from flwr.supercore.inflatable.inflatable_utils import inflate_object_from_contents
from google.protobuf.message import DecodeError

from federated.wire.parcels import PART, Parcel, read_parcel
from psi.protocol import PeerError

__all__ = [
    "LEAVE",
    "MESSAGE_TYPE",
    "Packed",
    "contents",
    "objects_of",
    "pack",
    "parcels_in",
    "parcels_of",
]

MESSAGE_TYPE = "query.parcels"
LEAVE = "leave"
"""The group of a message that carries nothing: it is there to be answered, and not fetched."""

SMALL = 128 << 10
"""Bytes that still go into a ConfigRecord."""

MOST = 64
"""Parcels in one message, at most."""

_LARGEST = PART + (1 << 12)


class Packed:
    """A message taken apart: its name, tree, metadata-only form and objects by name."""

    def __init__(self, message: Message) -> None:
        from flwr.app.message import remove_content_from_message

        message.metadata.__dict__["_message_id"] = message.object_id
        with no_object_id_recompute():
            self.id = str(message.object_id)
            self.objects: dict[str, InflatableObject] = get_all_nested_objects(message)
            self.tree: ObjectTree = get_object_tree(message)
            self.bare = remove_content_from_message(message)

    def content(self, name: str) -> bytes:
        """One object's bytes; it is let go of."""
        return self.objects.pop(name).deflate()


def pack(parcels: Sequence[bytes]) -> RecordDict:
    """The content of a message that carries these parcels."""
    small = [data for data in parcels if len(data) <= SMALL]
    # Flower shares equal objects between messages, and one's end races with the other's begin
    unique = os.urandom(8)
    content: dict[str, Any] = {"small": ConfigRecord({"parcels": small, "unique": unique})}
    large = [data for data in parcels if len(data) > SMALL]
    if large:
        arrays = {str(i): Array(np.frombuffer(d, np.uint8)) for i, d in enumerate(large)}
        content["large"] = ArrayRecord(arrays)
    return RecordDict(content)


def contents(message: Message) -> Iterator[bytes]:
    """The parcels in a message as bytes; raises `PeerError` on anything else."""
    records: Any = message.content
    try:
        if set(records) - {"small", "large"}:
            raise PeerError("a message with unknown records")
        small = records["small"]["parcels"] if "small" in records else []
        large = list(records["large"].values()) if "large" in records else []
        if len(small) + len(large) > MOST:
            raise PeerError(f"{len(small) + len(large)} parcels in a message, {MOST} allowed")
        for data in small:
            yield bytes(data)
        for array in large:
            if array.dtype != "uint8" or len(array.shape) != 1 or array.shape[0] > _LARGEST:
                raise PeerError("a malformed array in a message")
            yield array.numpy().tobytes()
    except (KeyError, TypeError, ValueError, AttributeError):
        raise PeerError("a malformed message") from None


def parcels_in(message: Message) -> Iterator[Parcel]:
    """The parcels in a message; raises `PeerError` if one is malformed."""
    for data in contents(message):
        yield read_parcel(data)


def parcels_of(tree: ObjectTree, get: Callable[[str], bytes]) -> list[Parcel]:
    """The parcels in a message whose objects `get` fetches by name; raises `PeerError`.

    Of a message of small parcels alone (message, records, one record) only the last is fetched:
    what stands above it says nothing that the tree has not said.
    """
    depth, end = 1, tree
    while len(end.children) == 1:
        depth, end = depth + 1, end.children[0]
    try:
        if depth != 3 or end.children:
            return list(parcels_in(objects_of(tree, get)))
        small = cast(list[bytes], ConfigRecord.inflate(get(end.object_id))["parcels"])
        if len(small) > MOST:
            raise PeerError(f"{len(small)} parcels in a message, {MOST} allowed")
        return [read_parcel(bytes(data)) for data in small]
    except (LookupError, TypeError, ValueError, AttributeError, DecodeError):
        raise PeerError("a malformed message") from None


def objects_of(tree: ObjectTree, get: Callable[[str], bytes]) -> Message:
    """The message whose objects `get` fetches by name."""
    names = [node.object_id for node in iterate_object_tree(tree)]
    found = {name: get(name) for name in names}
    message = cast(Message, inflate_object_from_contents(tree.object_id, found))
    message.metadata.__dict__["_message_id"] = tree.object_id
    return message
