"""Every error that a party can leave a job with is a sentence at the others, by its class alone."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from federated.session.farewell import Farewell
from federated.session.reasons import PeerRefused, left_words, own_words, reason_of

ROOT = Path(__file__).parents[2]
UNKNOWN = left_words("x", "none of ours")


def classes() -> list[str]:
    """Names of our errors but their root, wherever they are made."""
    bases: dict[str, set[str]] = {}
    for package in ("psi", "federated"):
        for file in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                if isinstance(node, ast.ClassDef):
                    names = {base.id for base in node.bases if isinstance(base, ast.Name)}
                    bases.setdefault(node.name, set()).update(names)
    found = {"FedprofileError"}
    while more := {name for name, above in bases.items() if above & found} - found:
        found |= more
    return sorted(found - {"FedprofileError"})


@pytest.mark.parametrize("name", classes())
def test_every_class_of_error_has_words(name: str) -> None:
    assert left_words("x", name) != UNKNOWN


def test_a_budget_that_is_spent_is_a_party_that_says_no() -> None:
    error = reason_of("bureau", Farewell("OverBudget", 6, "a mean asked 2 times, 1 allowed"))
    assert isinstance(error, PeerRefused)
    assert error.message == "bureau says no: a mean asked 2 times, 1 allowed"


def test_what_a_party_says_of_its_own_end() -> None:
    assert (
        own_words("InputError") == "this party ends it: its table does not hold what the job needs"
    )
    assert own_words("EnvironmentFailed") == own_words("") == ""
