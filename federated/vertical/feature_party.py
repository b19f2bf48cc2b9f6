"""A feature party of the vertical logistic regression: holds columns, learns their coefficients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from federated.paillier import EncryptedVector, Plaintexts, PublicKey
from federated.vertical.budget import score_vectors
from federated.vertical.messages import (
    Crossed,
    Directions,
    FeatureState,
    Final,
    Masked,
    Opened,
    Pass,
    Setup,
    Share,
    Solved,
)
from federated.vertical.numbers import (
    COLUMN_BITS,
    CURVATURE_BITS,
    PAIR_BITS,
    ROW_BITS,
    SCORE_BITS,
    horner,
    pair_packing,
    pairwise_mask,
    product_packing,
    quantise,
    row_packing,
    unhorner,
    whitening,
)
from psi.protocol import Context, Done, PeerError, PhaseError, Refused, Role, Turn, decode, encode

__all__ = ["FeatureFit", "FeatureParty"]

LEAST_SUPPORT = 20
Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class FeatureFit:
    """A feature party's result: its coefficients, and how many numbers a row it disclosed."""

    coefficients: Floats
    score_vectors: int


class FeatureParty(Role[FeatureFit]):
    """Sums encrypted rows by its own columns; the first of `partners` solves for all."""

    transitions = {  # noqa: RUF012
        (FeatureState, Setup): "on_setup",
        (FeatureState, Pass): "on_pass",
        (FeatureState, Crossed): "on_crossed",
        (FeatureState, Opened): "on_opened",
        (FeatureState, Share): "on_share",
        (FeatureState, Solved): "on_solved",
        (FeatureState, Final): "on_final",
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
        penalty: float = 1.0,
        minimum_key_bits: int = 2048,
        minimum_support: int = LEAST_SUPPORT,
    ) -> None:
        super().__init__(context)
        self._label_party, self._x, self._partners = label_party, x, list(partners)
        self._cap, self._secrets, self._penalty = cap, dict(secrets or {}), penalty
        self._bits, self._support = minimum_key_bits, minimum_support
        self._number = self._partners.index(context.party)
        if set(self._secrets) != set(self._partners) - {context.party}:
            raise PeerError("a shared secret is missing for one of the partners")

    @property
    def _lead(self) -> bool:
        return self._number == 0

    @cached_property
    def _columns(self) -> np.ndarray:
        """Whitened, turned, quantised: `int64[n, e]`. What scores and sums are made of."""
        return quantise(self._x @ self.state.basis)

    @cached_property
    def _public(self) -> PublicKey:
        return PublicKey.from_bytes(self.state.public_key, minimum_bits=self._bits)

    def begin(self) -> Turn[FeatureFit]:
        rare = [
            column
            for column in self._x.T
            if (column != _mode(column)).sum() < min(self._support, len(column))
        ]
        if rare:
            raise Refused(
                f"{len(rare)} columns stand out in fewer than {self._support} rows",
                hint="their sums would tell the label of single rows: drop or pool them",
            )
        basis = whitening(self._x, self.context.random)
        width = basis.shape[1]
        none, empty = np.zeros(0), np.zeros((width, 0))
        state = FeatureState(
            basis, b"", np.zeros(0, np.int64), 0, (), np.zeros(len(self._x), np.int64), empty, empty, 0, 0, none, {}, b"",
            {}, {}, {},
        )  # fmt: skip
        return Turn(state)

    def on_setup(self, state: FeatureState, setup: Setup, peer: str) -> Turn[FeatureFit]:
        self._from_label_party(peer)
        if state.public_key:
            raise PhaseError("a second set-up")
        n = len(self._x)
        folds = setup.fold_of_row
        if len(folds) != n or (n and not -1 <= folds.min() <= folds.max() < max(1, setup.folds)):
            raise PeerError("folds that do not fit the aligned rows")
        asked = score_vectors(setup.steps, setup.folds, setup.fold_steps)
        if asked > self._cap or setup.steps < 1 or (setup.folds and setup.fold_steps < 1):
            raise PeerError(f"{asked} score vectors asked, {self._cap} allowed by the contract")
        trained = int((folds >= 0).sum())
        if trained < 2 * self._x.shape[1]:
            raise Refused(f"{trained} labelled rows for {self._x.shape[1]} columns, twice needed")
        PublicKey.from_bytes(setup.public_key, minimum_bits=self._bits)
        plan = (setup.steps, setup.folds, setup.fold_steps)
        return Turn(
            replace(
                state,
                public_key=setup.public_key,
                fold_of_row=folds,
                own_columns=setup.own_columns,
                plan=plan,
            )
        )

    def on_pass(self, state: FeatureState, asked: Pass, peer: str) -> Turn[FeatureFit]:
        self._from_label_party(peer)
        self._expect(state, asked)
        if state.pending or not state.public_key:
            raise PhaseError("a pass before the last one ended")
        directions = state.full if asked.fit and asked.step == 0 else state.directions
        if len(asked.mix) != directions.shape[1]:
            raise PeerError("a mix of another number of directions")
        point = directions @ asked.mix
        state = replace(
            state,
            directions=directions,
            fit=asked.fit,
            step=asked.step,
            point=point,
            pending=encode(asked),
        )
        rows = self._rows(state)
        curvature = self._curvature(asked, len(rows))
        messages: list[tuple[str, Any]] = []
        later = self._partners[self._number + 1 :]
        if later:
            crossed = Crossed(self._cross(curvature, rows))
            messages = [(name, crossed) for name in later]
        turn = self._maybe_masked(state, curvature)
        return replace(turn, messages=[*messages, *turn.messages])

    def on_crossed(self, state: FeatureState, crossed: Crossed, peer: str) -> Turn[FeatureFit]:
        if peer not in self._partners[: self._number] or peer in state.crossed:
            raise PeerError("crossed columns that are not due")
        state = replace(state, crossed=state.crossed | {peer: crossed.rows})
        return self._maybe_masked(state, None) if state.pending else Turn(state)

    def _maybe_masked(
        self, state: FeatureState, curvature: EncryptedVector | None
    ) -> Turn[FeatureFit]:
        """Once all crossed columns are here: masked sums to the label party."""
        if len(state.crossed) < self._number:
            return Turn(state)
        asked = decode(state.pending, Pass)
        rows = self._rows(state)
        columns = self._columns[rows]
        if curvature is None:
            curvature = self._curvature(asked, len(rows))
        packing, count = row_packing(self._public.bits, len(self._x), state.own_columns + 1)
        sums = []
        for part in _cut(asked.rows, count):
            vector = EncryptedVector.from_bytes(self._public, part, len(rows), packing=packing)
            sums.append(vector.weighted_sums(columns))
        linear = EncryptedVector.concatenate(sums)
        pairs = horner(
            _pair_sums(curvature, columns), pair_packing(self._public.bits, len(self._x))
        )
        crosses = {p: self._crossed_sums(data, columns) for p, data in state.crossed.items()}
        masks: dict[str, bytes] = {}
        sent: dict[str, bytes] = {}
        for name, vector in {"linear": linear, "pairs": pairs, **_named(crosses)}.items():
            masked, mask = vector.mask_uniform(self.context.random)
            fresh = masked.rerandomise(for_key_holder=True, random=self.context.random)
            sent[name], masks[name] = fresh.to_bytes(), mask.to_bytes()
        message = Masked(sent["linear"], sent["pairs"], {p: sent[f"cross {p}"] for p in crosses})
        widths = {name: data[:4] for name, data in state.crossed.items()}
        state = replace(state, masks=masks, crossed=widths)
        return Turn(state, [(self._label_party, message)], progress=self._share_done(state))

    def _share_done(self, state: FeatureState) -> float:
        steps, folds, fold_steps = state.plan
        done = state.step if not state.fit else steps + (state.fit - 1) * fold_steps + state.step
        return (done + 0.5) / (steps + folds * fold_steps)

    def _curvature(self, asked: Pass, count: int) -> EncryptedVector:
        return EncryptedVector.from_bytes(
            self._public, asked.curvature, count, bound_bits=CURVATURE_BITS
        )

    def _cross(self, curvature: EncryptedVector, rows: np.ndarray) -> bytes:
        """Own columns times the curvature, row by row, for the later partners."""
        columns = self._columns[rows]
        packing, count = product_packing(self._public.bits, len(self._x), columns.shape[1])
        parts = []
        for i in range(count):
            block = packing.pack(columns[:, i * packing.slots : (i + 1) * packing.slots])
            product = curvature.multiply_plain_wide(block)
            fresh = product.rerandomise(for_key_holder=False, random=self.context.random)
            parts.append(fresh.to_bytes())
        return len(columns[0]).to_bytes(4, "big") + b"".join(parts)

    def _crossed_sums(self, data: bytes, columns: np.ndarray) -> EncryptedVector:
        width = int.from_bytes(data[:4], "big")
        if not 0 < width < 1 << 14:
            raise PeerError("crossed columns of no width")
        packing, count = product_packing(self._public.bits, len(self._x), width)
        value = packing.value_bits or 1
        wide = replace(packing, value_bits=min(value + CURVATURE_BITS, packing.slot_bits - 1))
        sums = []
        for part in _cut(data[4:], count):
            vector = EncryptedVector.from_bytes(self._public, part, len(columns), packing=wide)
            sums.append(vector.weighted_sums(columns))
        return EncryptedVector.concatenate(sums)

    def on_opened(self, state: FeatureState, opened: Opened, peer: str) -> Turn[FeatureFit]:
        self._from_label_party(peer)
        if not state.masks or set(opened.crosses) != set(self._partners[: self._number]):
            raise PhaseError("opened sums that were not asked for")
        width = state.basis.shape[1]
        packing, count = row_packing(self._public.bits, len(self._x), state.own_columns + 1)
        linear = self._unmask(state, "linear", opened.linear)
        blocks = packing.unpack_objects(linear).reshape(count, width, packing.slots)
        sums = np.concatenate(list(blocks), axis=1)[:, : state.own_columns + 1]
        scaled = sums.astype(np.float64) / 2.0 ** (ROW_BITS + COLUMN_BITS)
        slots = pair_packing(self._public.bits, len(self._x))
        pairs = unhorner(
            self._unmask(state, "pairs", opened.pairs), slots, width * (width + 1) // 2
        )
        curvature = np.zeros((width, width))
        upper = np.triu_indices(width)
        curvature[upper] = pairs.astype(np.float64) / 2.0 ** (CURVATURE_BITS + PAIR_BITS)
        curvature = curvature + np.triu(curvature, 1).T
        found = {
            "gradient": scaled[:, :1],
            "mixed": scaled[:, 1:] / np.sqrt(len(self._rows(state))),
            "curvature": curvature,
        }
        for name, data in opened.crosses.items():
            found[f"cross {name}"] = self._open_cross(state, name, data, width)
        state = replace(state, sums=found, masks={})
        if not self._lead:
            return Turn(state, [(self._partners[0], self._reduced(state))])
        return self._maybe_solve(state)

    def _open_cross(self, state: FeatureState, name: str, data: bytes, width: int) -> Floats:
        """`float64[their columns, own columns]`: the curvature between an earlier party and this."""
        theirs = int.from_bytes(state.crossed[name], "big")
        packing, count = product_packing(self._public.bits, len(self._x), theirs)
        slots = packing.unpack_objects(self._unmask(state, f"cross {name}", data))
        blocks = slots.reshape(count, width, packing.slots)
        joined = np.concatenate(list(blocks), axis=1).T[:theirs]
        return np.asarray(joined.astype(np.float64) / 2.0 ** (CURVATURE_BITS + 2 * COLUMN_BITS))

    def _unmask(self, state: FeatureState, name: str, data: bytes) -> Plaintexts:
        half = self._public.half
        mask_bytes = state.masks[name]
        count = len(mask_bytes) // (8 * -(-(half.bit_length() + 1) // 64))
        mask = Plaintexts.from_bytes(mask_bytes, count, bound=half)
        return Plaintexts.from_bytes(data, count, bound=half).minus(mask, self._public)

    def _reduced(self, state: FeatureState) -> Share:
        """This party's sums for the lead, with its penalty."""
        basis = state.basis
        penalty = self._penalty * basis.T @ basis
        gradient = state.sums["gradient"][:, 0] + penalty @ state.point
        crosses = {
            name.removeprefix("cross "): block
            for name, block in state.sums.items()
            if name.startswith("cross ")
        }
        return Share(gradient, state.sums["mixed"], state.sums["curvature"], penalty, crosses)

    def on_share(self, state: FeatureState, share: Share, peer: str) -> Turn[FeatureFit]:
        if not self._lead or peer not in self._partners[1:] or peer in state.shares:
            raise PeerError("a share that is not due")
        state = replace(state, shares=state.shares | {peer: encode(share)})
        return self._maybe_solve(state) if state.sums else Turn(state)

    def _maybe_solve(self, state: FeatureState) -> Turn[FeatureFit]:
        """The lead, once all shares are here: the joint step, and everyone's part of it."""
        if len(state.shares) < len(self._partners) - 1:
            return Turn(state)
        shares = {self._partners[0]: self._reduced(state)}
        shares |= {name: decode(data, Share) for name, data in state.shares.items()}
        changes, cross = _solve([shares[name] for name in self._partners], self._partners)
        others = zip(self._partners[1:], changes[1:], strict=True)
        messages: list[tuple[str, Any]] = [(name, Solved(part)) for name, part in others]
        turn = self._move(replace(state, shares={}), changes[0], cross)
        return replace(turn, messages=[*messages, *turn.messages])

    def on_solved(self, state: FeatureState, solved: Solved, peer: str) -> Turn[FeatureFit]:
        if self._lead or peer != self._partners[0] or not state.sums:
            raise PeerError("a solution that is not due")
        if len(solved.change) != state.basis.shape[1]:
            raise PeerError("a solution of another width")
        return self._move(state, solved.change, np.zeros(0))

    def _move(self, state: FeatureState, change: Floats, cross: Floats) -> Turn[FeatureFit]:
        """Take the step; disclose the new direction's scores where the contract says so."""
        steps, _, fold_steps = state.plan
        point = state.point + change
        last = state.fit > 0 and state.step == fold_steps - 1
        if state.fit == 0:
            rows = np.arange(len(self._x))
        else:
            rows = np.flatnonzero(state.fold_of_row == state.fit - 1) if last else self._rows(state)
        scores = (self._columns[rows] / 2.0**COLUMN_BITS) @ point
        directions = np.column_stack([state.directions, point])
        weights = state.basis @ directions
        values = np.concatenate([scores, weights.T @ weights[:, -1]])
        sealed = np.rint(values * 2.0**SCORE_BITS).astype(np.int64).view(np.uint64)
        label = f"{state.fit}/{state.step}"
        mask = pairwise_mask(self._secrets, self.context.party, label, len(sealed))
        disclosed = state.disclosed.copy()
        disclosed[rows] += 1
        if disclosed.max(initial=0) > self._cap:
            raise PeerError(f"more than {self._cap} score vectors asked")
        full = directions if state.fit == 0 and state.step == steps - 1 else state.full
        message = Directions((sealed + mask).view(np.int64), cross if last else np.zeros(0))
        state = replace(
            state,
            directions=directions,
            full=full,
            disclosed=disclosed,
            pending=b"",
            crossed={},
            sums={},
        )
        return Turn(state, [(self._label_party, message)])

    def on_final(self, state: FeatureState, final: Final, peer: str) -> Turn[FeatureFit]:
        self._from_label_party(peer)
        steps, folds, fold_steps = state.plan
        expected = (folds, fold_steps - 1) if folds else (0, steps - 1)
        if (state.fit, state.step) != expected or state.pending:
            raise PhaseError("the end before all steps were done")
        if len(final.mix) != state.full.shape[1]:
            raise PeerError("a mix of another number of directions")
        coefficients = state.basis @ (state.full @ final.mix)
        fit = FeatureFit(coefficients, int(state.disclosed.max(initial=0)))
        return Turn(Done(), result=fit, progress=1.0)

    def _rows(self, state: FeatureState) -> np.ndarray:
        """The training rows of the present fit."""
        folds = state.fold_of_row
        return np.flatnonzero((folds >= 0) & (folds != state.fit - 1))

    def _expect(self, state: FeatureState, asked: Pass) -> None:
        """The next step of the plan, and no other."""
        if not state.plan:
            raise PhaseError("a pass before the set-up")
        steps, folds, fold_steps = state.plan
        begun = state.full.shape[1] or state.directions.shape[1]
        limit = fold_steps if state.fit else steps
        if not begun:
            due = (0, 0)
        elif state.step + 1 < limit:
            due = (state.fit, state.step + 1)
        else:
            due = (state.fit + 1, 0)
        if (asked.fit, asked.step) != due or asked.fit > folds:
            raise PhaseError(f"pass {asked.fit}.{asked.step} found, {due[0]}.{due[1]} expected")

    def _from_label_party(self, peer: str) -> None:
        if peer != self._label_party:
            raise PeerError("a message of the label party from another")


def _mode(column: Floats) -> float:
    values, counts = np.unique(column, return_counts=True)
    return float(values[counts.argmax()]) if len(values) else 0.0


def _cut(data: bytes, count: int) -> list[bytes]:
    size, odd = divmod(len(data), count)
    if odd:
        raise PeerError(f"{len(data)} bytes of ciphertexts in {count} parts")
    return [data[i * size : (i + 1) * size] for i in range(count)]


def _named(crosses: Mapping[str, EncryptedVector]) -> dict[str, EncryptedVector]:
    return {f"cross {name}": vector for name, vector in crosses.items()}


def _pair_sums(
    curvature: EncryptedVector, columns: np.ndarray, block: int = 256
) -> EncryptedVector:
    """Sums of curvature times the product of two columns, for every pair j <= k."""
    first, second = np.triu_indices(columns.shape[1])
    scale = 2.0 ** (PAIR_BITS - 2 * COLUMN_BITS)
    parts = []
    for start in range(0, len(first), block):
        j, k = first[start : start + block], second[start : start + block]
        weights = np.rint(columns[:, j].astype(np.float64) * columns[:, k] * scale)
        parts.append(curvature.weighted_sums(weights.astype(np.int64)))
    return EncryptedVector.concatenate(parts)


def _solve(shares: list[Share], names: list[str]) -> tuple[list[Floats], Floats]:
    """The reduced Newton step over all partners' columns."""
    widths = [len(share.gradient) for share in shares]
    ends = np.cumsum([0, *widths])
    matrix = np.zeros((ends[-1], ends[-1]))
    for k, right in enumerate(shares):
        here = slice(ends[k], ends[k + 1])
        if right.curvature.shape != (widths[k], widths[k]) or right.mixed.shape[0] != widths[k]:
            raise PeerError("a share of inconsistent shape")
        matrix[here, here] = right.curvature + right.penalty
        for j, name in enumerate(names[:k]):
            block = right.crosses[name][: widths[j]]
            matrix[ends[j] : ends[j + 1], here] = block
            matrix[here, ends[j] : ends[j + 1]] = block.T
    mixed = np.vstack([share.mixed for share in shares])
    gradient = np.concatenate([share.gradient for share in shares])
    change = -np.linalg.lstsq(matrix - mixed @ mixed.T, gradient, rcond=None)[0]
    return [change[ends[k] : ends[k + 1]] for k in range(len(shares))], mixed.T @ change
