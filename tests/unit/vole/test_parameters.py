"""The sizes, against the page that derives them and the tool that recomputes them."""

from __future__ import annotations

import math
import runpy
from pathlib import Path
from typing import Any

import pytest

from psi.kernels.expand_convolute import WEIGHT
from psi.kernels.okvs import DENSE, LARGEST_BIN
from psi.vole.messages import LARGEST
from psi.vole.parameters import (
    COMPUTATIONAL,
    DISTANCE,
    NOISE,
    STATISTICAL,
    noise_weight,
    parts_of,
    store_for,
    tag_form,
    vector_of_chunk,
)
from psi.vole_malicious.parameters import CHECKED

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "PARAMETERS.md").read_text("utf-8")


@pytest.fixture(scope="module")
def tool() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "tools" / "vole_parameters.py"))


def test_page_and_tool_say_the_same(tool: dict[str, Any]) -> None:
    assert tool["sizes_table"]() in PAGE
    assert tool["attacks_table"]() in PAGE
    assert tool["checks_table"]() in PAGE
    assert tool["cheats_table"]() in PAGE


def test_the_page_states_what_the_code_takes() -> None:
    assert (COMPUTATIONAL, STATISTICAL, NOISE, WEIGHT, DENSE) == (128, 40, 1321, 21, 48)
    for text in ("128 bits", "40 bits", "t ≥ 1,321", "| 21 |", "| 48 |", f"δ = {DISTANCE}"):
        assert text in PAGE


def test_the_noise_is_the_least_that_is_enough() -> None:
    assert (1 - DISTANCE) ** NOISE <= 2.0**-COMPUTATIONAL < (1 - DISTANCE) ** (NOISE - 1)
    # the rule for bits would give half of it
    assert math.ceil(-COMPUTATIONAL / math.log2(1 - 2 * DISTANCE)) < 0.6 * noise_weight(128, 0.065)


def test_every_known_attack_costs_enough(tool: dict[str, Any]) -> None:
    for items in (0, 1, 100, 3_000, 300_000, 3_000_000, LARGEST):
        for chunk in (0, store_for(items).chunks - 1):
            vector = vector_of_chunk(store_for(items), chunk)
            for attack in ("linear_tests", "gauss", "algebraic"):
                assert tool[attack](vector) >= COMPUTATIONAL, (items, attack)


@pytest.mark.parametrize("items", [*range(300), 10**4, 10**5, 10**6, 10**7, LARGEST])
def test_sizes_fit_each_other(items: int) -> None:
    store = store_for(items)
    assert store.bins * store.load >= items
    assert max(store.load, 3) <= store.sparse <= LARGEST_BIN
    parts = parts_of(store)
    assert [p.first for p in parts] == [0, *(p.last for p in parts[:-1])]
    assert parts[-1].last == store.bins
    for chunk in {0, store.chunks // 2, store.chunks - 1}:
        vector = vector_of_chunk(store, chunk)
        columns = max(p.high for p in parts if p.chunk == chunk)
        assert vector.size >= columns
        # all noise is compressed, and nearly all that is compressed may be noisy
        assert 0 <= 2 * vector.size - (vector.trees << vector.depth) < 2 * 336
        assert vector.trees >= NOISE


def test_tags_are_as_long_as_chance_asks() -> None:
    found = [tag_form(n, n).bits for n in (0, 1, 4096, 10**5, 10**6, 10**7)]
    assert found == [64, 64, 68, 80, 83, 87]
    for mine, theirs in ((10**6, 10**6), (10**3, 10**7), (10**7, 10**3), (LARGEST, LARGEST)):
        assert tag_form(mine, theirs).bits >= STATISTICAL + math.log2(mine * theirs)


def test_no_sender_makes_one_tag_stand_for_many_items_in_time(tool: dict[str, Any]) -> None:
    for items in (1, 1_000, 10**6, 10**7, LARGEST):
        bits = CHECKED.tags(items, items).bits
        assert bits >= STATISTICAL + math.log2(items**2)
        assert tool["stood_for"](items, 46, bits) < 1.1
