"""The vertical regression's own roles, with the cipher's sums made in the clear.

"Emulated without encryption": messages, passes, guards, noise and models are the product's; what
the label party would open is handed over as it is. Each side sees the same numbers as in a real
run (but for the sums' own noise of 2^-22), a hundred times sooner.

    fit = fitted(joined, folds=5, seed=1)
    fit.vectors, fit.held            # what the label party was told of each row
    fit.after, fit.coefficients      # what the partner saw of its own
"""

from __future__ import annotations

import contextlib
import inspect
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from benchmarks.attack.data import Floats, Joined
from federated.paillier import MINIMUM_BITS, PrivateKey, generate_keypair
from federated.vertical import FeatureParty, LabelParty, feature_party, label_party, system
from federated.vertical.messages import Setup
from federated.vertical.plan import Pass, choose_steps, shown_rows
from federated.vertical.sums import RowCiphertexts
from psi.protocol import Context, Pair
from psi.protocol.role import Role

# what a job's file says of itself where it says nothing
SCORE_BITS, ROW_BITS = 4, 8

__all__ = ["Fit", "dealt", "fitted", "in_the_clear", "roles", "watched"]


@dataclass(frozen=True, repr=False, kw_only=True)
class Fit:
    """What each side saw of one training.

    vectors: `float64[n, t]`, score vectors of the labelled rows, in order, NaN elsewhere; held:
    `float64[n]`, final scores, by the model that did not see the row; before, after:
    `float64[p, b]`, the partner's own coefficients when a pass begins and after its Newton step;
    coefficients: its final ones; plan: the passes; setup: the partner's first message; scores,
    fold_scores: the label party's results.
    """

    vectors: Floats
    held: Floats
    before: Floats
    after: Floats
    coefficients: Floats
    plan: tuple[Pass, ...]
    setup: Setup
    scores: Floats
    fold_scores: Floats

    @property
    def fold(self) -> NDArray[np.int64]:
        """The fold of each row as the partner is told, -1 for none."""
        return self.setup.fold.astype(np.int64)


def dealt(label: NDArray[np.int8], folds: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """`int64[n]`: even folds by chance, each class by itself; -1 where there is no label."""
    found = np.full(len(label), -1, dtype=np.int64)
    for value in (0, 1):
        rows = rng.permutation(np.flatnonzero(label == value))
        found[rows] = np.arange(len(rows)) % folds if folds else -1
    return found


def fitted(
    joined: Joined,
    *,
    folds: int = 5,
    seed: int = 0,
    steps: int | None = None,
    fold_steps: int | None = None,
    clear: bool = True,
    key_bits: int = 2048,
    **more: Any,
) -> Fit:
    """One training of the set's label over all its partner columns.

    `clear`: without encryption, else with a key of `key_bits`; `more` goes to both roles where
    they take it (score_bits, …). Raises what a role raises.
    """
    rng = np.random.default_rng(seed)
    fold = dealt(joined.label, folds, rng) if folds else None
    bits = {"score_bits": SCORE_BITS, "row_bits": ROW_BITS} | more
    taken = inspect.signature(choose_steps).parameters
    chosen = choose_steps(
        len(joined.label), joined.partner.shape[1], folds, wanted=(steps, fold_steps),
        **{name: value for name, value in bits.items() if name in taken},
    )  # fmt: skip
    given = {"steps": chosen.steps, "fold_steps": chosen.fold_steps or 1, "folds": fold} | bits
    pair = Pair(*roles(joined, key_bits=key_bits, seed=seed, cap=chosen.score_vectors, **given))
    with in_the_clear() if clear else contextlib.nullcontext(), watched() as fits:
        results = pair.run()
    return replace(fits[0], scores=results["bank"].scores, fold_scores=results["bank"].fold_scores)


def roles(joined: Joined, *, key_bits: int, seed: int, **more: Any) -> list[Role[Any]]:
    """A label party and a feature party of the product's over these columns."""
    session = bytes(32)

    def context(party: str, stream: int) -> Context:
        return Context(session, "train/t", party, np.random.default_rng([seed, stream]).bytes)

    given = {
        "partners": ["partner"], "label": joined.label, "key": _key(key_bits),
        "label_party": "bank", "key_bits": key_bits,
    } | more  # fmt: skip

    def made(kind: Any, party: str, x: Floats, stream: int) -> Any:
        names = inspect.signature(kind.__init__).parameters
        taken = {name: value for name, value in given.items() if name in names}
        return kind(context(party, stream), x=x, **taken)

    return [
        made(LabelParty, "bank", joined.own, 1),
        made(FeatureParty, "partner", joined.partner, 2),
    ]


@cache
def _key(bits: int) -> PrivateKey:
    return generate_keypair(bits, random=secrets.token_bytes, allow_toy=bits < MINIMUM_BITS)


# what each side sees


@contextlib.contextmanager
def watched() -> Iterator[list[Fit]]:
    """Notes what the roles of one partner see, of every training that ends inside, in order.

    `scores` and `fold_scores` stay empty: they are the label party's results.
    """
    fits: list[Fit] = []
    seen: dict[tuple[bytes, str], _Seen] = {}
    shown: dict[bytes, list[tuple[Pass, Floats]]] = {}
    present: list[tuple[bytes, Pass]] = []
    on_setup, on_direction = FeatureParty.on_setup, FeatureParty.on_direction
    on_final, on_scores = FeatureParty.on_final, LabelParty.on_scores
    mixed, summed = FeatureParty._mixed, label_party._summed

    def of(role: Any) -> _Seen:
        return seen[role.context.session, role.context.party]

    def see_setup(self: Any, state: Any, setup: Setup, peer: str) -> Any:
        seen[self.context.session, self.context.party] = _Seen(setup, [], [])
        return on_setup(self, state, setup, peer)

    def see_own(self: Any, memory: Any, mix: Floats) -> Floats:
        found = mixed(self, memory, mix)
        of(self).before.append(found)
        return found

    def see_direction(self: Any, state: Any, sent: Any, peer: str) -> Any:
        of(self).after.append(state.start + self._basis(state.memory) @ sent.delta)
        return on_direction(self, state, sent, peer)

    def see_scores(self: Any, state: Any, scores: Any, peer: str) -> Any:
        present[:] = [(self.context.session, self._plan[state.progress.number])]
        return on_scores(self, state, scores, peer)

    def see_sum(parts: Any, count: int) -> Floats:
        found = summed(parts, count)
        session, one = present[0]
        shown.setdefault(session, []).append((one, found))
        return found

    def see_final(self: Any, state: Any, final: Any, peer: str) -> Any:
        found = on_final(self, state, final, peer)
        final = state.memory.final
        fits.append(_fit(of(self), final, shown[self.context.session]))
        return found

    changed: list[tuple[Any, str, Any]] = [
        (FeatureParty, "on_setup", see_setup),
        (FeatureParty, "on_direction", see_direction),
        (FeatureParty, "on_final", see_final),
        (FeatureParty, "_mixed", see_own),
        (LabelParty, "on_scores", see_scores),
        (label_party, "_summed", see_sum),
    ]
    with _changed(changed):
        yield fits


@dataclass(frozen=True, repr=False)
class _Seen:
    setup: Setup
    before: list[Floats]
    after: list[Floats]


def _fit(seen: _Seen, final: Floats, shown: list[tuple[Pass, Floats]]) -> Fit:
    labelled = seen.setup.labelled == 1
    vectors, held = [], np.full(len(labelled), np.nan)
    for one, numbers in shown:
        rows = shown_rows(one, labelled, seen.setup.fold)
        told = np.full(len(labelled), np.nan)
        told[rows] = numbers[: np.count_nonzero(rows)]
        if one.last:
            held[rows] = told[rows]
        elif one.fold < 0:
            vectors.append(told)
    none = np.zeros(0)
    return Fit(
        vectors=np.array(vectors).T,
        held=held,
        before=np.array(seen.before),
        after=np.array(seen.after),
        coefficients=final,
        plan=tuple(one for one, _ in shown),
        setup=seen.setup,
        scores=none,
        fold_scores=none,
    )


# the sums, in the clear


@contextlib.contextmanager
def in_the_clear() -> Iterator[None]:
    """Replaces what the roles call for encrypted sums by the sums themselves."""
    changed: list[tuple[Any, str, Any]] = [
        (LabelParty, "ahead", lambda self: None),
        (label_party, "encrypt_rows", _rows),
        (label_party, "encrypt_residuals", _residuals),
        (feature_party, "own_sums", _own_sums),
        (feature_party, "residual_sums", _residual_sums),
        (system, "open_linear", _open_linear),
        (system, "open_gradient", _open_gradient),
        (system, "open_pairs", _open_pairs),
        (feature_party, "weight_rows", _weight_rows),
        (feature_party, "cross_sums", _cross_sums),
        (system, "open_cross", _open_cross),
    ]
    with _changed(changed):
        yield


@contextlib.contextmanager
def _changed(changes: list[tuple[Any, str, Any]]) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for owner, name, instead in changes:
            stack.enter_context(patch.object(owner, name, instead))
        yield


def _rows(
    key: Any, layout: Any, design: Floats, curvature: Floats, residual: Floats, *_: Any, **__: Any
) -> RowCiphertexts:
    """As many numbers a row as `own`, and two: the columns, D_i, r_i."""
    return RowCiphertexts(np.column_stack([design, curvature, residual]).tobytes(), b"")


def _residuals(key: Any, residual: Floats, *_: Any) -> bytes:
    return residual.tobytes()


def _own_sums(
    public: Any, layout: Any, sent: RowCiphertexts, basis: Any, *_: Any, **__: Any
) -> tuple[bytes, bytes]:
    rows = np.frombuffer(sent.rows).reshape(len(basis.z), -1)
    design, curvature, residual = rows[:, :-2], rows[:, -2], rows[:, -1]
    weighted = basis.z * curvature[:, None]
    gradient = basis.z.T @ residual + basis.shrink
    linear = np.column_stack([gradient, weighted.T @ design])
    return linear.tobytes(), (weighted.T @ basis.z + basis.penalty).tobytes()


def _residual_sums(
    public: Any, layout: Any, sent: RowCiphertexts, z: Floats, shrink: Floats, *_: Any
) -> bytes:
    return bytes((z.T @ np.frombuffer(sent.rows) + shrink).tobytes())


def _open_linear(key: Any, layout: Any, data: bytes, columns: int) -> tuple[Floats, Floats]:
    table = np.frombuffer(data).reshape(columns, -1)
    return table[:, 0], table[:, 1:]


def _open_gradient(key: Any, layout: Any, data: bytes, columns: int) -> Floats:
    return np.frombuffer(data)


def _open_pairs(key: Any, layout: Any, data: bytes, columns: int, *, alone: bool) -> Floats:
    return np.frombuffer(data).reshape(columns, columns)


def _weight_rows(public: Any, layout: Any, sent: RowCiphertexts, z: Floats, *_: Any) -> bytes:
    curvature = np.frombuffer(sent.rows).reshape(len(z), -1)[:, -2]
    return bytes((z * curvature[:, None]).tobytes())


def _cross_sums(public: Any, layout: Any, data: bytes, before: int, z: Floats, *_: Any) -> bytes:
    return bytes((z.T @ np.frombuffer(data).reshape(len(z), before)).tobytes())


def _open_cross(key: Any, layout: Any, data: bytes, columns: int, before: int) -> Floats:
    return np.frombuffer(data).reshape(columns, before)
