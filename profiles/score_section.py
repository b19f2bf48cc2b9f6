"""The `[[score]]` sections of a job file: rows scored by a model that was trained before."""

from __future__ import annotations

from federated.contract.kinds.train import LONGEST_TASK
from federated.contract.kinds.train_boosted import MOST_GROWN
from federated.regression import FINEST_SCORES
from federated.scoring.model_file import is_id
from federated.toml_sections import TomlSection
from federated.trees.plan import MOST_DEPTH, MOST_TREES
from profiles.specs import PartySpec, ScoreSpec
from profiles.train_section import SCORE_BITS, features_of

__all__ = ["read_score"]


def read_score(section: TomlSection, parties: tuple[PartySpec, ...], entity: str) -> ScoreSpec:
    """One section. Raises `JobError`."""
    task, model = section.text("task"), section.text("model")
    if len(task.encode()) > LONGEST_TASK or "/" in task or not task:
        raise section.fail("task", task, f"at most {LONGEST_TASK} bytes without a slash")
    if not is_id(model):
        hint = "fedprofile model ls shows the models of which this party keeps a part"
        raise section.fail("model", model, "the 16 hexadecimal digits of a model", hint)
    both = section.has("score_bits") and section.has("row_bits")
    told = section.has("row_bits")
    row_bits = section.integer("row_bits", None, 1, MOST_TREES * MOST_DEPTH) if told else 0
    score_bits = section.integer("score_bits", SCORE_BITS, 0, FINEST_SCORES)
    if both:
        hint = "a regression tells steps of a score, trees sides of splits: model show says which"
        raise section.fail("row_bits", str(row_bits), "none beside score_bits", hint)
    trees = section.integer("trees", None, 1, MOST_GROWN) if section.has("trees") else 0
    depth = section.integer("depth", None, 1, MOST_DEPTH) if section.has("depth") else 0
    if trees and not score_bits:
        raise section.fail(
            "score_bits", "0", "1 or more of trees", "of a regression 0: a list only"
        )
    if bool(trees) != bool(depth) or (trees and row_bits):
        hint = "of trees that tell nothing both, with score_bits: model show prints the section"
        key = "depth" if trees and not depth else "trees"
        allowed = "trees with a depth, and without row_bits"
        raise section.fail(key, str(trees if key == "trees" else depth), allowed, hint)
    spec = ScoreSpec(
        task=task,
        model=model,
        score_bits=0 if row_bits else score_bits,
        row_bits=row_bits,
        trees=trees,
        depth=depth,
        features=features_of(section, parties, entity),
    )
    section.done()
    return spec
