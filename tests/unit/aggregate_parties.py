"""A bank and a bureau in memory, for tests of statistics by segment."""

from __future__ import annotations

import secrets
from typing import Any

import numpy as np

from federated.aggregate import (
    Grouping,
    MeasureParty,
    MeasureSlots,
    RowsReceiver,
    RowsSender,
    Section,
    SegmentParty,
    Statistic,
    messages,
)
from federated.aggregate.binned import counted_alone
from federated.aggregate.history import history_of
from federated.aggregate.messages import Kept, Rows
from federated.aggregate.section_audit import Earlier
from federated.paillier import generate_keypair
from psi.protocol import Context, Envelope, Pair

KEY = generate_keypair(1024, allow_toy=True)
ASKED = [
    ("a", "mean"), ("a", "sum"), ("b", "count"), ("b", "variance"), ("a", "share>0.5"),
    ("b", "histogram[-10,0,10]"),
]  # fmt: skip


class Parties:
    """A bank and a bureau with these sections, each by `codes` of its own."""

    def __init__(
        self,
        values: np.ndarray,
        codes: list[int],
        groups: int,
        minimum: int = 3,
        asked: list[tuple[str, str]] = ASKED,
        *more: tuple[list[int], int, list[tuple[str, str]]],
        names: str = "abcd",
        wire: Any = None,
    ) -> None:
        self.wire, self.sent = wire, list[Envelope]()
        self.rows: dict[str, Any] = {}
        told = [(codes, minimum, asked), *more]
        self.sections = [
            Section(tuple((column, Statistic.parse(text)) for column, text in wanted), least)
            for _, least, wanted in told
        ]
        self.groupings = list[Grouping]()
        for place, (own, _, _) in enumerate(told):
            shares = [i for i in range(place) if self.shares(i, place)]
            earlier = tuple(self.groupings[i].codes for i in shares)
            names_of = [f"g{i}" for i in range(groups)]
            self.groupings.append(Grouping(names_of, np.array(own, np.int64), earlier))
        self.slots = MeasureSlots(self.sections, len(values), KEY.bits)
        self.values = values[:, [names.index(column) for column in self.slots.columns]]
        self.history = history_of(np.arange(1, 1 + len(values), dtype=np.uint64), (), 0)
        self.counted = [
            counted_alone(section, values[:, [names.index(c) for c in section.columns]], grids)
            for section in self.sections
            for grids in [self.slots.grids]
        ]

    def shares(self, one: int, other: int) -> bool:
        return bool(set(self.sections[one].columns) & set(self.sections[other].columns))

    def context(self, party: str, step: str) -> Context:
        return Context(b"session", step, party, secrets.token_bytes)

    def row_roles(self) -> tuple[Any, Any]:
        return (
            RowsReceiver(
                self.context("bank", "rows"), self.sections, self.groupings, key_bits=1024
            ),
            RowsSender(
                self.context("bureau", "rows"), "bank", KEY, self.slots, self.values, self.counted
            ),
        )

    def told(
        self, number: int, before: list[dict[str, Any]]
    ) -> tuple[list[np.ndarray], list[Earlier]]:
        """Which groups earlier sections told of the same columns: to the bank, at the bureau."""
        section = self.sections[number]
        told, earlier = list[np.ndarray](), list[Earlier]()
        for i in (i for i in range(number) if self.shares(i, number)):
            own = self.sections[i].columns
            whole = before[i]["bureau"].kept
            kept = whole[:, 1 : 1 + len(own)]
            nothing = np.zeros(len(kept), bool)
            each = [kept[:, own.index(c)] if c in own else nothing for c in section.columns]
            edges = dict(zip(own, self.sections[i].edges, strict=True))
            parts = np.cumsum([len(edges[c]) for c in own])[:-1]
            opened = dict(zip(own, np.split(whole[:, 1 + len(own) :], parts, axis=1), strict=True))
            none = np.zeros((len(kept), 0), bool)
            earlier.append(
                Earlier(
                    np.stack(each, axis=1), self.sections[i].minimum,
                    edges=tuple(edges.get(c, ()) for c in section.columns),
                    open=tuple(opened.get(c, none) for c in section.columns),
                )
            )  # fmt: skip
            told.append(np.asarray(earlier[-1].kept.any(axis=1)))
        return told, earlier

    def roles(self, number: int, before: list[dict[str, Any]]) -> tuple[Any, Any]:
        told, earlier = self.told(number, before)
        return (
            SegmentParty(
                self.context("bank", "aggregate"), "bureau", self.sections, number,
                self.groupings[number], self.rows["bank"], told=told, key_bits=1024,
            ),
            MeasureParty(
                self.context("bureau", "aggregate"), KEY, self.slots.of(number),
                self.counted[number], self.history, earlier,
            ),
        )  # fmt: skip

    def run_all(self) -> list[dict[str, Any]]:
        link = Pair(*self.row_roles(), wire=self.wire)
        self.rows = link.run()
        self.sent += link.sent
        found = list[dict[str, Any]]()
        for number in range(len(self.sections)):
            link = Pair(*self.roles(number, found), wire=self.wire)
            found.append(link.run())
            self.sent += link.sent
        return found

    def run(self) -> dict[str, Any]:
        return self.run_all()[0]


EVERY = (
    messages.Key, Rows, messages.Next, messages.Counted, messages.Returned, Kept, messages.Opened,
)  # fmt: skip


def run(values: np.ndarray, codes: list[int], groups: int, minimum: int = 3) -> dict[str, Any]:
    return Parties(values, codes, groups, minimum).run()
