"""A receiver of horizontal training that asks what it likes, and one that keeps to the protocol.

It takes its own mask off, so it sees one party's sums: with two parties nothing else stands between
them, and with more the others may collude. What it reads is then the sums with that party's noise.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pyarrow as pa
import pytest

from federated.horizontal import Branch, Coordinator, NoiseKey, Plan, SecureSum, add_masked
from federated.horizontal.branch import Question, effective_rows
from federated.horizontal.plan import BINS, SHARES
from federated.steps.byte_limits import step_limit
from psi.protocol import PeerError, Refused
from tests.attacks.world import NEW_POLICY, World, drafted

ROWS, COLUMNS = 400, 6
PLAN = Plan(COLUMNS, folds=4, steps=5, bits=1, parties=2)
SECRET = b"s" * 32
TARGET = 17


def table(seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Columns of a bank: amounts with a tail, small whole numbers, and a label."""
    rng = np.random.default_rng(seed)
    amounts = rng.lognormal(8, 1, size=(ROWS, 3))
    x = np.hstack([amounts, rng.integers(0, 5, size=(ROWS, 2)), rng.normal(size=(ROWS, 1))])
    x[TARGET, 0] = np.sort(x[:, 0])[-5:-3].mean()  # a value that stands alone
    return x, (rng.random(ROWS) < 0.3).astype(np.int64)


class Victim:
    """A branch of two, and the liar's view of what it answers."""

    def __init__(self, x: np.ndarray, y: np.ndarray, plan: Plan = PLAN, key: bytes = b"") -> None:
        masks, folds = SecureSum("a", {"b": SECRET}), np.arange(len(x)) % max(1, plan.folds)
        self.plan, self._own = plan, SecureSum("b", {"a": SECRET})
        noise = NoiseKey(key or secrets.token_bytes(32))
        self.branch = Branch(x, y, folds, masks, plan, noise)

    def told(self, question: Question) -> np.ndarray:
        """The victim's sums, as who holds the other mask reads them."""
        masked = self.branch.answer(question)
        nothing = np.zeros(len(masked))
        label = f"{question.number} {question.stage}"
        own = self._own.mask(nothing, label, nothing.astype(np.int64))
        return add_masked([masked, own], 2)


def question(number: int, models: Any = None, **changes: Any) -> Question:
    """A question of the plan's round, with the liar's choices in it."""
    x, _ = table()
    stage, (mean, scale) = PLAN.stage(number), (x.mean(axis=0), x.std(axis=0))
    made = np.zeros((PLAN.models(stage), PLAN.width)) if models is None else np.atleast_2d(models)
    edges = np.linspace(-3, 3, PLAN.edges(stage))
    return replace(Question(number, stage, made, mean, scale, edges), **changes)


def plane(at: float, column: int = 0, steepness: float = 200.0) -> np.ndarray:
    """A model whose weights are 0 but near one value (in deviations) of one column."""
    model = np.zeros(PLAN.width)
    model[column], model[-1] = steepness, -steepness * at
    return model


def standard() -> np.ndarray:
    x, _ = table()
    return np.asarray((x - x.mean(axis=0)) / x.std(axis=0))


# one row is chosen by the question


def test_a_model_that_one_row_decides_is_refused() -> None:
    """Its curvature was that row, to seven digits, and its gradient too."""
    at = standard()[TARGET, 0]
    p = 1 / (1 + np.exp(-np.clip((standard()[:, 0] - at) * 200, -700, 700)))
    assert effective_rows(p * (1 - p)) < 1.01
    for number in (2, 3, 7):
        with pytest.raises(Refused, match=r"1\.[0-9] of this party's rows decide"):
            Victim(*table()).told(question(number, plane(at)))
    folds = np.vstack([np.zeros((3, PLAN.width)), plane(at)])
    with pytest.raises(Refused, match="of this party's rows decide"):
        Victim(*table()).told(question(8, folds))


def test_a_mean_and_scale_that_tell_few_rows_from_the_others_are_refused() -> None:
    x, _ = table()
    mean, scale = x.mean(axis=0), x.std(axis=0)
    beside, above = x[TARGET, 0], x[TARGET, 0] * (1 + 1e-6)
    for at in (beside, above):
        narrow = {"mean": np.append(at, mean[1:]), "scale": np.append(1e-9, scale[1:])}
        with pytest.raises(Refused, match="fewer than 20 of this party's rows from the others"):
            Victim(*table()).told(question(2, **narrow))


@pytest.mark.parametrize(
    "changes",
    [
        {"mean": np.full(COLUMNS, np.nan), "scale": np.zeros(COLUMNS)},
        {"scale": np.zeros(COLUMNS)},
        {"scale": -np.ones(COLUMNS)},
        {"scale": np.full(COLUMNS, np.inf)},
        {"mean": np.full(COLUMNS, -np.inf)},
        {"mean": np.zeros(COLUMNS + 1)},
        {"models": np.full((1, PLAN.width), np.nan)},
        {"models": np.full((1, PLAN.width), 1e9)},
        {"models": np.zeros((2, PLAN.width))},
        {"edges": np.zeros(3)},
    ],
)
def test_what_no_training_has_is_refused_and_no_mask_is_used(changes: dict[str, Any]) -> None:
    victim = Victim(*table())
    with pytest.raises(PeerError):
        victim.told(question(3, **changes))
    assert len(victim.told(question(3))) == PLAN.width


@pytest.mark.parametrize("edges", [np.full(BINS - 1, np.nan), np.linspace(3, -3, BINS - 1)])
def test_bins_that_are_not_in_order_are_refused(edges: np.ndarray) -> None:
    with pytest.raises(PeerError, match="in order"):
        Victim(*table()).told(question(8, edges=edges))


def test_a_unit_that_would_drown_the_noise_in_the_grid_is_refused() -> None:
    with pytest.raises(PeerError, match="unit that no training has"):
        Victim(*table()).told(question(1, scale=np.full(COLUMNS, 1e-200)))


# what a liar gets where the checks do not see it


def test_differences_of_questions_do_not_give_a_row() -> None:
    """Every step of the training goes into one row: its gradient in, and out of, a plane.

    The checks of the question are taken away, so that the noise stands alone.
    """
    at, z = standard()[TARGET, 0], standard()
    near = np.sort(np.abs(z[:, 0] - at))[1] / 2
    errors = []
    for _ in range(20):
        victim, found = Victim(*table()), []
        with mock.patch.object(Branch, "_check_carried"):
            for number in range(3, 3 + PLAN.steps - 1, 2):
                below = victim.told(question(number, plane(at - near, steepness=200)))
                above = victim.told(question(number + 1, plane(at + near, steepness=200)))
                found.append(below - above)
        errors.append(np.mean(found, axis=0)[:-1] - z[TARGET])
    guess = np.sqrt((z[TARGET] ** 2).mean())  # of who guesses each column's mean
    assert np.sqrt(np.mean(np.square(errors))) > 5 * guess


def test_close_models_that_the_checks_let_through_do_not_give_a_row() -> None:
    victim, z = Victim(*table()), standard()
    first, second = np.zeros(PLAN.width), np.zeros(PLAN.width)
    second[0] = 1e-3
    change = victim.told(question(3, first)) - victim.told(question(4, second))
    p = 0.5
    true = -p * (1 - p) * 1e-3 * (z.T @ z[:, 0])
    assert np.std(change[:-1] - true) > 20 * np.abs(true).max()


def test_one_row_in_a_bin_of_its_own_does_not_stand_out() -> None:
    """Of 2,048 bins most held one row or none, and each was told."""
    (x, y), z = table(), standard()
    models = np.tile(np.append(np.eye(COLUMNS)[0], 0.0), (PLAN.folds, 1))
    around = z[TARGET, 0] + np.array([-1e-6, 1e-6])
    edges = np.sort(np.append(np.linspace(-5, -4, BINS - 3), around))
    place = int(np.searchsorted(edges, z[TARGET, 0], side="right"))
    right = 0
    for _ in range(100):
        counts = Victim(x, y).told(question(8, models, edges=edges))
        by_label = counts.reshape(PLAN.folds, 2, BINS)[TARGET % PLAN.folds, :, place]
        right += int(by_label.argmax() == y[TARGET])
    assert right < 85  # its label is where the 1 is


def test_two_jobs_that_differ_by_one_row_do_not_tell_it() -> None:
    """Their sums of values gave it exactly, its label and its square with it."""
    x, y = table()
    rest = np.delete(np.arange(ROWS), TARGET)
    told = []
    for _ in range(20):
        later = Victim(x, y).told(question(0))
        earlier = Victim(x[rest], y[rest]).told(question(0))
        told.append((later - earlier)[2 : 2 + COLUMNS])
    spread = np.std(told, axis=0)
    assert (spread > 5 * np.abs(x[TARGET] - x.mean(axis=0))).all()


def test_another_question_in_the_same_round_has_another_noise() -> None:
    """A party that was killed and asked again answers the same, and nothing is told twice."""
    key, x_y = secrets.token_bytes(32), table()
    first, again, other = (Victim(*x_y, key=key) for _ in range(3))
    asked, near = question(3), question(3, plane(0.0, steepness=1e-9))
    told = first.told(asked)
    assert (again.told(asked) == told).all()
    assert np.abs(other.told(near) - told).min() > 0.01


# the promise: bits of a row, whatever is asked


def worlds(random: np.random.Generator) -> tuple[Branch, Branch]:
    """Two branches that differ in one row; its values lie where the other rows' may."""
    x, y = table()
    other, label = x.copy(), y.copy()
    other[TARGET] = x[random.integers(0, ROWS)] * random.choice([-1.0, 0.0, 1.0, 50.0], COLUMNS)
    label[TARGET] = random.integers(0, 2)
    one, two = Victim(x, y).branch, Victim(other, label).branch
    two._centre, two._half = one._centre, one._half
    two._near = np.clip(other, one._centre - one._half, one._centre + one._half)
    return one, two


def parts(branch: Branch, asked: Question) -> tuple[np.ndarray, np.ndarray]:
    """The sums before noise and masks, and the noise's deviation."""
    return branch.sums(asked)


def test_no_question_moves_an_answer_by_more_than_its_noise_allows() -> None:
    """A quarter of the squared distance of two worlds is at most that of one from the centre."""
    random = np.random.default_rng(4)
    most: dict[str, float] = {}
    for _ in range(300):
        one, two = worlds(random)
        number = int(random.integers(0, PLAN.rounds))
        stage = PLAN.stage(number)
        models = random.normal(size=(PLAN.models(stage), PLAN.width))
        models *= 10.0 ** random.uniform(-3, 2)
        asked = question(
            number,
            models,
            mean=standard().mean(0) + random.normal(size=COLUMNS) * 10.0 ** random.uniform(-2, 5),
            scale=10.0 ** random.uniform(-3, 5, COLUMNS),
            edges=np.sort(random.normal(size=PLAN.edges(stage)) * 3),
        )
        (values, sd), (others, _) = parts(one, asked), parts(two, asked)
        told = sd > 0  # the number of rows is told
        assert (values[~told] == others[~told]).all()
        nats = float((((values - others)[told] / sd[told]) ** 2).sum() / 8)
        allowed = PLAN.nats(stage) + (PLAN.nats("step") if stage == "products" else 0.0)
        assert nats <= allowed * (1 + 1e-9), stage
        most[stage] = max(most.get(stage, 0.0), nats / allowed)
    assert set(most) == set(SHARES)
    assert min(most.values()) > 0.01  # the bound is not a wide one


@pytest.mark.parametrize(("folds", "steps"), [(5, 6), (0, 1), (2, 20)])
def test_all_answers_together_tell_the_contracts_bits(folds: int, steps: int) -> None:
    plan = Plan(7, folds, steps, bits=3)
    told = [plan.nats(plan.stage(number)) for number in range(plan.rounds)]
    assert sum(told) + plan.nats("step") == pytest.approx(3 * np.log(2))


def test_noise_is_as_large_as_the_plan_says() -> None:
    x, y = table()
    asked = question(3)
    values, sd = parts(Victim(x, y).branch, asked)
    drawn = np.array([(Victim(x, y).told(asked) - values) / sd for _ in range(300)])
    six = 6 / np.sqrt(drawn.size)  # standard deviations of a mean
    assert drawn.std() == pytest.approx(1, abs=six / np.sqrt(2))
    assert drawn.mean() == pytest.approx(0, abs=six)
    assert abs(np.corrcoef(drawn[:, 0], drawn[:, 1])[0, 1]) < 6 / np.sqrt(300)


def test_who_knows_all_but_one_label_guesses_it_no_better_than_the_bits_allow() -> None:
    """An honest training at one bit, judged by the best of tests: the likelihood's ratio.

    This is the strongest reader there is: it knows every other row, and this one's columns.
    """
    x, y = table()
    flipped = y.copy()
    flipped[TARGET] = 1 - y[TARGET]
    ratios: dict[bool, list[float]] = {True: [], False: []}
    for number in range(160):
        truth = number % 2 == 0
        victim = Victim(x, y if truth else flipped)
        one, two = Victim(x, y).branch, Victim(x, flipped).branch
        coordinator, ratio = Coordinator(PLAN), 0.0
        with mock.patch.object(Branch, "_check_carried"):
            for _ in range(PLAN.rounds):
                asked = coordinator.question()
                told = victim.told(asked)
                (values, sd), (others, _) = parts(one, asked), parts(two, asked)
                kept = sd > 0
                middle, apart = (values + others) / 2, values - others
                ratio += float(((told - middle) * apart / np.where(kept, sd, 1) ** 2)[kept].sum())
                coordinator.take(told)
        ratios[truth].append(ratio)
    high, low = np.array(ratios[True]), np.array(ratios[False])
    area = (high[:, None] > low[None]).mean()
    # .80 (.03 at 120 draws) in fifteen runs; sqrt(8 ln 2) deviations apart at the most: .952
    assert 0.6 < area < 0.952


# what else the contract's words and numbers decide

JOB = """
[job]
name = "pooled"
purpose = "retention"
seed = 7

[[party]]
name = "bank"
table = "bank.people"
features = ["a", "b"]

[[party]]
name = "bureau"
table = "bureau.people"
features = ["a", "b"]

[train]
task = "churn"
split = "horizontal"
label = "left"
folds = 2
steps = 1
"""


def people() -> pa.Table:
    rng = np.random.default_rng(8)
    columns = {name: rng.normal(size=80) for name in ("a", "b")}
    return pa.table(columns | {"left": np.arange(80) % 2})


def test_the_contracts_seed_does_not_say_which_rows_are_in_a_fold(tmp_path: Path) -> None:
    """Each class is dealt evenly, so who knew the seed knew more of labels the more it knew."""
    permissions = {"a": "feature", "b": "feature", "left": "label"}
    folds: list[np.ndarray] = []

    def noted(x: Any, y: Any, fold: np.ndarray, *rest: Any) -> Branch:
        folds.append(fold)
        return Branch(x, y, fold, *rest)

    for job in ("one", "two"):
        (tmp_path / job).mkdir()
        few = NEW_POLICY.replace("row_left = 7", "row_left = 0")  # 80 rows hold 6.3 bits
        world = World(tmp_path / job, people(), permissions, policy=few)
        with mock.patch("federated.steps.train_horizontal.Branch", noted):
            assert world.run(JOB, people()).errors == {}
    assert len(folds) == 4
    assert len({fold.tobytes() for fold in folds}) == 4
    assert all(np.bincount(fold).tolist() == [40, 40] for fold in folds)


def test_rounds_that_the_contract_does_not_have_may_bring_nothing(tmp_path: Path) -> None:
    contract = drafted(tmp_path, JOB)
    named = {f"train/churn/{number}" for number in range(5)} | {"train/churn/model"}
    assert all(step_limit(contract, step) > 0 for step in named)
    for step in ("train/churn/5", "train/churn/00", "train/churn/9999", "train/churn"):
        assert step_limit(contract, step) == 0
