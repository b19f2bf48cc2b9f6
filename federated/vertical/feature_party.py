"""The feature party: sums under the label party's key, and a counted number of score vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from federated.paillier import MINIMUM_BITS, PublicKey
from federated.vertical.basis import draw_basis, pair_masks, whitening
from federated.vertical.guards import check_columns, check_setup
from federated.vertical.label_party import PENALTY
from federated.vertical.messages import (
    MOST_EXPONENT,
    Direction,
    EncryptedRows,
    Final,
    Moments,
    Ready,
    Scores,
    Setup,
    WeightedRows,
)
from federated.vertical.newton import Floats
from federated.vertical.plan import (
    Pass,
    Rows,
    TrainingPlan,
    passes,
    shown_rows,
    training_rows,
)
from federated.vertical.rounding import fixed_point, own_exponent, rounded
from federated.vertical.states import Answered, Memory, Resting, Summing, Waiting
from federated.vertical.sums import (
    BasisRows,
    Layout,
    RowCiphertexts,
    cross_sums,
    own_sums,
    residual_sums,
    weight_rows,
)
from psi.protocol import (
    Context,
    Done,
    MisuseError,
    PeerError,
    Role,
    Turn,
)

__all__ = ["FeatureParty", "Shown", "VerticalPart"]

# scores and products of directions stay below 2^SIZE_BITS
SIZE_BITS = 24


@dataclass(frozen=True)
class Shown:
    """Scores that were disclosed: in the pass of which fold (-1: none), of how many rows."""

    fold: int
    rows: int


@dataclass(frozen=True, repr=False)
class VerticalPart:
    """A feature party's part of the model.

    coefficients: `float64[b]` for the columns as they were passed in;
    score_vectors: the most numbers that any row's scores were disclosed in;
    disclosures: each disclosure of scores, in order.
    """

    coefficients: Floats
    score_vectors: int
    disclosures: tuple[Shown, ...]


class FeatureParty(Role[VerticalPart]):
    """Holds columns; learns its own coefficients, the labelled rows and their folds.

    Args:
        context: of the session.
        label_party: its name.
        x: `float64[n, b]`, design columns of the aligned rows, standardised.
        partners: all feature parties in the contract's order, this one among them.
        cap: the most score vectors that the contract allows.
        score_bits: a row's final number is told with noise of 2^-`score_bits` of the vector's
            standard deviation, the others with 2^-DIRECTION_BITS of it.
        row_bits: the most bits of a row that the contract allows.
        others: design columns of the other feature parties, as the contract has them.
        secrets: for each other feature party 32 bytes that only the two know, new for each step.
        key_bits: of the label party's key; below 2048 for tests only.
        planned: the contract's passes, from which the label party may not depart; None: any
            within the cap, where there is no contract.
        records: `int64[n]`, each row's record, where one has several rows.
        repeats: `int64[n]`, the row of the table that each is, where one is in several pairs.

    Raises:
        InputError: columns that are not finite.
        MisuseError: arguments that do not fit together.
        Refused: too few rows, or a column that would speak of single rows.
    """

    transitions: ClassVar[Mapping[tuple[type, type], str]] = {
        (Waiting, Setup): "on_setup",
        (Resting, EncryptedRows): "on_rows",
        (Resting, WeightedRows): "on_early",
        (Resting, Final): "on_final",
        (Summing, WeightedRows): "on_weighted",
        (Answered, Direction): "on_direction",
    }

    def __init__(
        self,
        context: Context,
        label_party: str,
        x: Floats,
        *,
        partners: Sequence[str],
        cap: int,
        score_bits: int,
        row_bits: int,
        others: int = 0,
        secrets: Mapping[str, bytes] | None = None,
        key_bits: int = MINIMUM_BITS,
        planned: TrainingPlan | None = None,
        records: NDArray[np.int64] | None = None,
        repeats: NDArray[np.int64] | None = None,
    ) -> None:
        super().__init__(context)
        self._label_party = label_party
        self._x = np.ascontiguousarray(x, dtype=np.float64)
        self._partners = list(partners)
        self._secrets = dict(secrets or {})
        self._cap, self._key_bits = cap, key_bits
        self._planned, self._records, self._repeats = planned, records, repeats
        self._score_bits, self._row_bits, self._others = score_bits, row_bits, others
        self._public: PublicKey | None = None
        check_columns(self._x)
        names = set(self._partners)
        if context.party not in names or len(names) != len(partners) or label_party in names:
            raise MisuseError("partners must be distinct, with this party and no label party")
        if set(self._secrets) != names - {context.party}:
            raise MisuseError("one secret for each other feature party is needed")
        if any(len(secret) != 32 for secret in self._secrets.values()):
            raise MisuseError("secrets of 32 bytes are needed")
        place = self._partners.index(context.party)
        self._before, self._after = self._partners[:place], self._partners[place + 1 :]

    def begin(self) -> Turn[VerticalPart]:
        """Wait for the setup."""
        return Turn(Waiting())

    def on_setup(self, state: Waiting, setup: Setup, peer: str) -> Turn[VerticalPart]:
        """Check the plan against the contract's cap and the guards."""
        self._from_label_party(peer)
        self._public = PublicKey.from_bytes(setup.key, bits=self._key_bits)
        found = TrainingPlan(setup.steps, setup.folds, setup.fold_steps)
        if self._planned not in (None, found):  # each pass opens sums, whatever vectors it tells
            raise PeerError(f"passes of {found} planned, of {self._planned} contracted")
        check_setup(
            setup,
            self._x,
            others=self._others,
            cap=self._cap,
            score_bits=self._score_bits,
            row_bits=self._row_bits,
            records=self._records,
        )
        none = np.zeros(0)
        memory = Memory(
            setup=setup,
            number=0,
            directions=none,
            fold_directions=none,
            final=none,
            disclosed=np.zeros(len(self._x), dtype=np.int64),
            basis=none,
        )
        return Turn(Resting(memory, {}), [(peer, Ready(self._whitened.shape[1]))], progress=0.0)

    def on_rows(self, state: Resting, sent: EncryptedRows, peer: str) -> Turn[VerticalPart]:
        """Sum, in a fresh basis if with the curvature, and pass weighted rows on then."""
        self._from_label_party(peer)
        memory, present = state.memory, self._present(state.memory)
        if present is None or sent.number != present.number:
            raise PeerError("encrypted rows of a pass that is not next")
        if present.curvature:
            basis = draw_basis(self._whitened, self.context.random)
            memory = replace(memory, basis=basis.ravel())
        start, basis = self._mixed(memory, sent.mix), self._basis(memory)
        rows = self._training(memory.setup, present.fold)
        own = BasisRows(
            self._x[rows] @ basis, PENALTY * (basis.T @ start), PENALTY * (basis.T @ basis)
        )
        public, layout = self._key(memory), self._layout(memory)
        ciphertexts = RowCiphertexts(sent.rows, sent.weights)
        if not present.curvature:
            data = residual_sums(
                public, layout, ciphertexts, own.z, own.shrink, self.context.random
            )
            moments = Moments(sent.number, data, b"", {})
            return Turn(Answered(memory, start), [(peer, moments)])
        # of several partners each is sent D alone, whatever its columns
        alone = len(self._partners) > 1 or layout.alone([basis.shape[1]])
        linear, pairs = own_sums(public, layout, ciphertexts, own, self.context.random, alone=alone)
        messages = []
        if self._after:
            data = weight_rows(public, layout, ciphertexts, own.z, self.context.random)
            weighted = WeightedRows(sent.number, basis.shape[1], data)
            messages = [(name, weighted) for name in self._after]
        moments = Moments(sent.number, linear, pairs, {})
        summing = Summing(memory, start, moments)
        for name, early in state.early.items():
            summing = self._crossed(summing, early, name)
        return self._when_complete(summing, messages)

    def on_early(self, state: Resting, sent: WeightedRows, peer: str) -> Turn[VerticalPart]:
        """Keep weighted rows that came before the label party's."""
        self._from_partner_before(peer)
        present = self._present(state.memory)
        wanted = present is not None and present.curvature and sent.number == present.number
        if not wanted or peer in state.early:
            raise PeerError("weighted rows of a pass that is not next")
        return Turn(replace(state, early=state.early | {peer: sent}))

    def on_weighted(self, state: Summing, sent: WeightedRows, peer: str) -> Turn[VerticalPart]:
        """Sum with a partner's weighted rows."""
        self._from_partner_before(peer)
        if sent.number != state.memory.number or peer in state.own.cross:
            raise PeerError("weighted rows of another pass, or twice")
        return self._when_complete(self._crossed(state, sent, peer), [])

    def on_direction(self, state: Answered, sent: Direction, peer: str) -> Turn[VerticalPart]:
        """Take the step, and disclose what the plan says."""
        self._from_label_party(peer)
        memory, present = state.memory, self._present(state.memory)
        if present is None or sent.number != present.number:
            raise PeerError("a direction of a pass that is not under way")
        basis = self._basis(memory)
        if len(sent.delta) != basis.shape[1]:
            raise PeerError(f"{len(sent.delta)} numbers of a direction; expected {basis.shape[1]}")
        step = basis @ sent.delta
        memory = replace(memory, number=memory.number + 1)
        rows = self._shown_rows(memory.setup, present)
        if present.last:
            vector, products = state.start + step, np.zeros(0)
            memory = replace(memory, fold_directions=np.zeros(0))
            if present.fold < 0:
                memory = replace(memory, final=vector)
        else:
            vector = np.ldexp(step, self._exponent(sent, self._x @ step))
        memory = self._count(memory, rows)
        # the noise is measured by all rows: few, or chosen ones, may lie close together
        scores = _in_range(self._x @ vector)
        if not present.last:
            if present.fold < 0:
                memory = replace(memory, directions=np.append(memory.directions, vector))
            else:
                memory = replace(memory, fold_directions=np.append(memory.fold_directions, vector))
            products = _in_range(self._directions(memory) @ vector)
        bits, random = present.bits(self._score_bits), self.context.random
        told = rounded(scores, bits, random, self._repeats)[rows]
        fixed = np.append(told, fixed_point(products)).view(np.uint64)
        label = self.context.session + f"|{self.context.step}|{present.number}".encode()
        masked = fixed + pair_masks(self._secrets, self.context.party, label, len(fixed))
        share = memory.number / len(self._plan(memory.setup))
        return Turn(Resting(memory, {}), [(peer, Scores(present.number, masked))], progress=share)

    def on_final(self, state: Resting, sent: Final, peer: str) -> Turn[VerticalPart]:
        """The end: the coefficients of the full fit are known since its last pass."""
        self._from_label_party(peer)
        memory = state.memory
        if self._present(memory) is not None:
            raise PeerError("the end before the last pass")
        shown = tuple(self._shown(memory.setup, one) for one in self._plan(memory.setup))
        most = int(memory.disclosed.max(initial=0))
        return Turn(Done(), result=VerticalPart(memory.final, most, shown), progress=1.0)

    # what is known of the plan

    @cached_property
    def _whitened(self) -> Floats:
        return whitening(self._x, PENALTY)

    def _plan(self, setup: Setup) -> tuple[Pass, ...]:
        return passes(len(self._x), setup.steps, setup.folds, setup.fold_steps)

    def _present(self, memory: Memory) -> Pass | None:
        plan = self._plan(memory.setup)
        return plan[memory.number] if memory.number < len(plan) else None

    def _basis(self, memory: Memory) -> Floats:
        return memory.basis.reshape(self._x.shape[1], -1)

    def _layout(self, memory: Memory) -> Layout:
        return Layout(self._key(memory).bits, len(self._x), memory.setup.own)

    def _key(self, memory: Memory) -> PublicKey:
        if self._public is None:
            self._public = PublicKey.from_bytes(memory.setup.key, bits=self._key_bits)
        return self._public

    @staticmethod
    def _training(setup: Setup, fold: int) -> Rows:
        return training_rows(setup.labelled == 1, setup.fold, fold)

    def _directions(self, memory: Memory) -> Floats:
        """`float64[t, b]`: of the full fit, then of the present fold."""
        flat = np.append(memory.directions, memory.fold_directions)
        return flat.reshape(-1, self._x.shape[1])

    def _mixed(self, memory: Memory, mix: Floats) -> Floats:
        directions = self._directions(memory)
        if len(mix) != len(directions):
            raise PeerError(f"{len(mix)} mixing coefficients; expected {len(directions)}")
        return np.asarray(mix @ directions)

    def _shown_rows(self, setup: Setup, one: Pass) -> Rows:
        """`bool[n]`: the rows whose scores a pass discloses."""
        return shown_rows(one, setup.labelled == 1, setup.fold)

    def _shown(self, setup: Setup, one: Pass) -> Shown:
        return Shown(one.fold, int(np.count_nonzero(self._shown_rows(setup, one))))

    # guards

    def _count(self, memory: Memory, rows: Rows) -> Memory:
        """Count a disclosure; PeerError where the contract's cap would be passed."""
        disclosed = memory.disclosed + rows
        if disclosed.max(initial=0) > self._cap:
            raise PeerError(f"more score vectors asked than the {self._cap} contracted")
        return replace(memory, disclosed=disclosed)

    def _exponent(self, sent: Direction, scores: Floats) -> int:
        """Of the scale that scores are told in: its own, or among several the one in common."""
        if len(self._partners) > 1:
            return sent.exponent
        if sent.exponent:
            raise PeerError("a scale for scores that this party scales by itself")
        return own_exponent(scores, MOST_EXPONENT)

    def _from_label_party(self, peer: str) -> None:
        if peer != self._label_party:
            raise PeerError("a message that only the label party may send")

    def _from_partner_before(self, peer: str) -> None:
        if peer not in self._before:
            raise PeerError("a message that only a partner before this one may send")

    # several partners

    def _crossed(self, state: Summing, sent: WeightedRows, peer: str) -> Summing:
        memory = state.memory
        present = self._present(memory)
        rows = self._training(memory.setup, present.fold if present else -1)
        z = self._x[rows] @ self._basis(memory)
        data = cross_sums(
            self._key(memory),
            self._layout(memory),
            sent.data,
            sent.columns,
            z,
            self.context.random,
        )
        return replace(state, own=replace(state.own, cross=state.own.cross | {peer: data}))

    def _when_complete(
        self, state: Summing, messages: Sequence[tuple[str, WeightedRows]]
    ) -> Turn[VerticalPart]:
        if set(state.own.cross) != set(self._before):
            return Turn(state, messages)
        answered = Answered(state.memory, state.start)
        return Turn(answered, [*messages, (self._label_party, state.own)])


def _in_range(numbers: Floats) -> Floats:
    if not np.abs(numbers).max(initial=0.0) < 2.0**SIZE_BITS:
        raise PeerError("a direction whose scores are out of range")
    return numbers
