"""The feature party: sums under the label party's key, and a counted number of score vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray

from federated.paillier import MINIMUM_BITS, PublicKey
from federated.vertical.basis import draw_basis, pair_masks, whitening
from federated.vertical.label_party import PENALTY, SCORE_BITS
from federated.vertical.messages import (
    MOST_COLUMNS,
    MOST_ROWS,
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
    MOST_STEPS,
    Pass,
    Rows,
    passes,
    score_vectors,
    training_rows,
)
from federated.vertical.sums import (
    BasisRows,
    Layout,
    RowCiphertexts,
    cross_sums,
    own_sums,
    weight_rows,
)
from psi.protocol import (
    Array,
    Context,
    Done,
    InputError,
    Length,
    MisuseError,
    PeerError,
    Refused,
    Role,
    Turn,
    message,
)

__all__ = ["FeatureFit", "FeatureParty", "Shown"]

# the fewest rows that differ from a column's most frequent value
SUPPORT = 20
# the fewest labelled rows of a fold
FOLD_ROWS = 20
# rows a column, at least
ROWS_A_COLUMN = 2
# scores and products of directions stay below 2^SIZE_BITS
SIZE_BITS = 24

_Vectors = Annotated[NDArray[np.float64], Array("float64", most=MOST_COLUMNS * MOST_STEPS)]


@dataclass(frozen=True)
class Shown:
    """Scores that were disclosed: in the pass of which fold (-1: none), of how many rows."""

    fold: int
    rows: int


@dataclass(frozen=True, repr=False)
class FeatureFit:
    """A feature party's part of the model.

    coefficients: `float64[b]` for the columns as they were passed in;
    score_vectors: the most numbers that any row's scores were disclosed in;
    disclosures: each disclosure of scores, in order.
    """

    coefficients: Floats
    score_vectors: int
    disclosures: tuple[Shown, ...]


@dataclass(frozen=True)
class _Memory:
    """What stays through all passes; `number` is the next one's.

    Directions are `float64[t, b]`, flat; `disclosed` counts for each row.
    """

    setup: Setup
    number: int
    directions: _Vectors
    fold_directions: _Vectors
    disclosed: Annotated[NDArray[np.int64], Array("int64", most=MOST_ROWS)]


@message(0x70)
@dataclass(frozen=True)
class _Waiting:
    """Before the setup."""


@message(0x71)
@dataclass(frozen=True)
class _Resting:
    """Between passes; weighted rows of the next one may come early."""

    memory: _Memory
    early: Annotated[dict[str, WeightedRows], Length(64)]


@message(0x72)
@dataclass(frozen=True)
class _Summing:
    """Own sums are made; weighted rows of some partners are missing."""

    memory: _Memory
    basis: _Vectors
    start: _Vectors
    own: Moments


@message(0x73)
@dataclass(frozen=True)
class _Answered:
    """Sums are sent: the label party's direction is next."""

    memory: _Memory
    basis: _Vectors
    start: _Vectors


class FeatureParty(Role[FeatureFit]):
    """Holds columns; learns its own coefficients, the labelled rows and their folds.

    Args:
        context: of the session.
        label_party: its name.
        x: `float64[n, b]`, design columns of the aligned rows, standardised.
        partners: all feature parties in the contract's order, this one among them.
        cap: the most score vectors that the contract allows.
        secrets: for each other feature party 32 bytes that only the two know, new for each step.
        minimum_key_bits: of the label party's key; below 2048 for tests only.

    Raises:
        InputError: columns that are not finite.
        MisuseError: arguments that do not fit together.
        Refused: too few rows, or a column that would speak of single rows.
    """

    transitions: ClassVar[Mapping[tuple[type, type], str]] = {
        (_Waiting, Setup): "on_setup",
        (_Resting, EncryptedRows): "on_rows",
        (_Resting, WeightedRows): "on_early",
        (_Resting, Final): "on_final",
        (_Summing, WeightedRows): "on_weighted",
        (_Answered, Direction): "on_direction",
    }

    def __init__(
        self,
        context: Context,
        label_party: str,
        x: Floats,
        *,
        partners: Sequence[str],
        cap: int,
        secrets: Mapping[str, bytes] | None = None,
        minimum_key_bits: int = MINIMUM_BITS,
    ) -> None:
        super().__init__(context)
        self._label_party = label_party
        self._x = np.ascontiguousarray(x, dtype=np.float64)
        self._partners = list(partners)
        self._secrets = dict(secrets or {})
        self._cap, self._key_bits = cap, minimum_key_bits
        self._public: PublicKey | None = None
        _check_columns(self._x)
        names = set(self._partners)
        if context.party not in names or len(names) != len(partners) or label_party in names:
            raise MisuseError("partners must be distinct, with this party and no label party")
        if set(self._secrets) != names - {context.party}:
            raise MisuseError("one secret for each other feature party is needed")
        if any(len(secret) != 32 for secret in self._secrets.values()):
            raise MisuseError("secrets of 32 bytes are needed")
        place = self._partners.index(context.party)
        self._before, self._after = self._partners[:place], self._partners[place + 1 :]

    def begin(self) -> Turn[FeatureFit]:
        """Wait for the setup."""
        return Turn(_Waiting())

    def on_setup(self, state: _Waiting, setup: Setup, peer: str) -> Turn[FeatureFit]:
        """Check the plan against the contract's cap and the guards."""
        self._from_label_party(peer)
        self._public = PublicKey.from_bytes(setup.key, minimum_bits=self._key_bits)
        self._check_plan(setup)
        none = np.zeros(0)
        memory = _Memory(setup, 0, none, none, np.zeros(len(self._x), dtype=np.int64))
        return Turn(_Resting(memory, {}), [(peer, Ready(self._whitened.shape[1]))], progress=0.0)

    def on_rows(self, state: _Resting, sent: EncryptedRows, peer: str) -> Turn[FeatureFit]:
        """Draw a fresh basis, sum in it, and pass weighted rows on."""
        self._from_label_party(peer)
        memory, present = state.memory, self._present(state.memory)
        if present is None or sent.number != present.number:
            raise PeerError("encrypted rows of a pass that is not next")
        start = self._mixed(memory, sent.mix)
        basis = draw_basis(self._whitened, self.context.random)
        rows = self._training(memory.setup, present.fold)
        own = BasisRows(
            self._x[rows] @ basis, PENALTY * (basis.T @ start), PENALTY * (basis.T @ basis)
        )
        public, layout = self._key(memory), self._layout(memory)
        ciphertexts = RowCiphertexts(sent.rows, sent.weights)
        # of several partners each is sent D alone, whatever its columns
        alone = len(self._partners) > 1 or layout.alone([basis.shape[1]])
        linear, pairs = own_sums(public, layout, ciphertexts, own, self.context.random, alone=alone)
        messages = []
        if self._after:
            data = weight_rows(public, layout, ciphertexts, own.z, self.context.random)
            weighted = WeightedRows(sent.number, basis.shape[1], data)
            messages = [(name, weighted) for name in self._after]
        moments = Moments(sent.number, linear, pairs, {})
        summing = _Summing(memory, basis.ravel(), start, moments)
        for name, early in state.early.items():
            summing = self._crossed(summing, early, name)
        return self._when_complete(summing, messages)

    def on_early(self, state: _Resting, sent: WeightedRows, peer: str) -> Turn[FeatureFit]:
        """Keep weighted rows that came before the label party's."""
        self._from_partner_before(peer)
        present = self._present(state.memory)
        if present is None or sent.number != present.number or peer in state.early:
            raise PeerError("weighted rows of a pass that is not next")
        return Turn(replace(state, early=state.early | {peer: sent}))

    def on_weighted(self, state: _Summing, sent: WeightedRows, peer: str) -> Turn[FeatureFit]:
        """Sum with a partner's weighted rows."""
        self._from_partner_before(peer)
        if sent.number != state.memory.number or peer in state.own.cross:
            raise PeerError("weighted rows of another pass, or twice")
        return self._when_complete(self._crossed(state, sent, peer), [])

    def on_direction(self, state: _Answered, sent: Direction, peer: str) -> Turn[FeatureFit]:
        """Take the step, and disclose what the plan says."""
        self._from_label_party(peer)
        memory, present = state.memory, self._present(state.memory)
        if present is None or sent.number != present.number:
            raise PeerError("a direction of a pass that is not under way")
        basis = state.basis.reshape(self._x.shape[1], -1)
        if len(sent.delta) != basis.shape[1]:
            raise PeerError(f"{len(sent.delta)} numbers of a direction; expected {basis.shape[1]}")
        step = basis @ sent.delta
        products = np.zeros(0)
        memory = replace(memory, number=memory.number + 1)
        if present.last:
            vector = state.start + step
            rows = memory.setup.fold == present.fold
            memory = replace(memory, fold_directions=np.zeros(0))
        else:
            vector = np.ldexp(step, sent.exponent)
            every = present.fold < 0
            rows = (
                np.ones(len(self._x), dtype=np.bool_)
                if every
                else self._training(memory.setup, present.fold)
            )
            if every:
                memory = replace(memory, directions=np.append(memory.directions, vector))
            else:
                memory = replace(memory, fold_directions=np.append(memory.fold_directions, vector))
            products = self._directions(memory) @ vector
        memory = self._count(memory, rows)
        numbers = np.append(self._x[rows] @ vector, products)
        if not np.abs(numbers).max(initial=0.0) < 2.0**SIZE_BITS:
            raise PeerError("a direction whose scores are out of range")
        fixed = np.rint(np.ldexp(numbers, SCORE_BITS)).astype(np.int64).view(np.uint64)
        label = self.context.session + f"|{self.context.step}|{present.number}".encode()
        masked = fixed + pair_masks(self._secrets, self.context.party, label, len(fixed))
        share = memory.number / len(self._plan(memory.setup))
        return Turn(_Resting(memory, {}), [(peer, Scores(present.number, masked))], progress=share)

    def on_final(self, state: _Resting, sent: Final, peer: str) -> Turn[FeatureFit]:
        """The coefficients of the final model."""
        self._from_label_party(peer)
        memory = state.memory
        if self._present(memory) is not None:
            raise PeerError("the final model before the last pass")
        coefficients = self._mixed(memory, sent.mix)
        shown = tuple(self._shown(memory.setup, one) for one in self._plan(memory.setup))
        most = int(memory.disclosed.max(initial=0))
        return Turn(Done(), result=FeatureFit(coefficients, most, shown), progress=1.0)

    # what is known of the plan

    @cached_property
    def _whitened(self) -> Floats:
        return whitening(self._x, PENALTY)

    def _plan(self, setup: Setup) -> tuple[Pass, ...]:
        return passes(setup.steps, setup.folds, setup.fold_steps)

    def _present(self, memory: _Memory) -> Pass | None:
        plan = self._plan(memory.setup)
        return plan[memory.number] if memory.number < len(plan) else None

    def _layout(self, memory: _Memory) -> Layout:
        return Layout(self._key(memory).bits, len(self._x), memory.setup.own)

    def _key(self, memory: _Memory) -> PublicKey:
        if self._public is None:
            self._public = PublicKey.from_bytes(memory.setup.key, minimum_bits=self._key_bits)
        return self._public

    @staticmethod
    def _training(setup: Setup, fold: int) -> Rows:
        return training_rows(setup.labelled == 1, setup.fold, fold)

    def _directions(self, memory: _Memory) -> Floats:
        """`float64[t, b]`: of the full fit, then of the present fold."""
        flat = np.append(memory.directions, memory.fold_directions)
        return flat.reshape(-1, self._x.shape[1])

    def _mixed(self, memory: _Memory, mix: Floats) -> Floats:
        directions = self._directions(memory)
        if len(mix) != len(directions):
            raise PeerError(f"{len(mix)} mixing coefficients; expected {len(directions)}")
        return np.asarray(mix @ directions)

    def _shown(self, setup: Setup, one: Pass) -> Shown:
        if one.last:
            return Shown(one.fold, int(np.count_nonzero(setup.fold == one.fold)))
        if one.fold < 0:
            return Shown(-1, len(self._x))
        return Shown(one.fold, int(np.count_nonzero(self._training(setup, one.fold))))

    # guards

    def _count(self, memory: _Memory, rows: Rows) -> _Memory:
        """Count a disclosure; PeerError where the contract's cap would be passed."""
        disclosed = memory.disclosed + rows
        if disclosed.max(initial=0) > self._cap:
            raise PeerError(f"more score vectors asked than the {self._cap} contracted")
        return replace(memory, disclosed=disclosed)

    def _check_plan(self, setup: Setup) -> None:
        n, k = len(self._x), self._whitened.shape[1]
        if len(setup.labelled) != n or len(setup.fold) != n:
            raise PeerError(f"{len(setup.labelled)} aligned rows at the label party, {n} here")
        try:
            vectors = score_vectors(setup.steps, setup.folds, setup.fold_steps)
        except MisuseError as error:
            raise PeerError(error.message) from None
        if vectors > self._cap:
            raise PeerError(f"{vectors} score vectors planned, at most {self._cap} contracted")
        if len(self._partners) == 1 and vectors >= k:
            raise Refused(
                f"{vectors} score vectors for {k} independent columns; fewer are allowed",
                hint="add columns, or contract fewer steps",
            )
        labelled = setup.labelled == 1
        if setup.labelled.max(initial=0) > 1 or np.any(setup.fold[~labelled] != -1):
            raise PeerError("labelled rows or folds are malformed")
        found = int(np.count_nonzero(labelled))
        if found < ROWS_A_COLUMN * k:
            raise Refused(
                f"{found} labelled rows for {k} columns; "
                f"at least {ROWS_A_COLUMN} rows a column are allowed",
                hint="use fewer features",
            )
        _check_folds(setup, labelled)

    def _from_label_party(self, peer: str) -> None:
        if peer != self._label_party:
            raise PeerError("a message that only the label party may send")

    def _from_partner_before(self, peer: str) -> None:
        if peer not in self._before:
            raise PeerError("a message that only a partner before this one may send")

    # several partners

    def _crossed(self, state: _Summing, sent: WeightedRows, peer: str) -> _Summing:
        memory = state.memory
        present = self._present(memory)
        rows = self._training(memory.setup, present.fold if present else -1)
        z = self._x[rows] @ state.basis.reshape(self._x.shape[1], -1)
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
        self, state: _Summing, messages: Sequence[tuple[str, WeightedRows]]
    ) -> Turn[FeatureFit]:
        if set(state.own.cross) != set(self._before):
            return Turn(state, messages)
        answered = _Answered(state.memory, state.basis, state.start)
        return Turn(answered, [*messages, (self._label_party, state.own)])


def _check_columns(x: Floats) -> None:
    if x.ndim != 2 or not 1 <= x.shape[1] <= MOST_COLUMNS:
        raise MisuseError(f"columns of shape {x.shape} found, rows x 1 to {MOST_COLUMNS} allowed")
    if not np.isfinite(x).all():
        raise InputError("columns with values that are not finite numbers")
    if len(x) < ROWS_A_COLUMN * x.shape[1]:
        raise Refused(
            f"{len(x)} aligned rows for {x.shape[1]} columns; "
            f"at least {ROWS_A_COLUMN} rows a column are allowed",
            hint="use fewer features",
        )
    rare = sum(_off_mode(column) < SUPPORT for column in x.T)
    if rare:
        raise Refused(
            f"{rare} of {x.shape[1]} columns differ from their most frequent value in fewer than "
            f"{SUPPORT} rows",
            hint="their coefficients would speak of single rows: leave these columns out",
        )


def _off_mode(column: Floats) -> int:
    _, counts = np.unique(column, return_counts=True)
    return len(column) - int(counts.max())


def _check_folds(setup: Setup, labelled: Rows) -> None:
    if not setup.folds:
        if np.any(setup.fold != -1):
            raise PeerError("folds of rows without a cross-validation")
        return
    folds = setup.fold[labelled]
    if folds.min(initial=0) < 0 or folds.max(initial=0) >= setup.folds:
        raise PeerError("a labelled row without a fold")
    sizes = np.bincount(folds, minlength=setup.folds)
    if sizes.min() < FOLD_ROWS or sizes.max() > 2 * sizes.min():
        raise PeerError(
            f"folds of {int(sizes.min())} to {int(sizes.max())} rows; even sizes of at least "
            f"{FOLD_ROWS} are allowed"
        )
