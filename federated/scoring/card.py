"""What a party is shown of its part of a model: a card, its own numbers, how much each weighs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from federated.binning import EvidenceEncoder, against_evidence, point_lines
from federated.hidden_trees import HiddenFeatureModel, HiddenLabelModel
from federated.hidden_trees.plan import VALUE_BITS
from federated.regression import told_bits
from federated.scoring.model_file import FEATURE, LABEL, ModelPart
from federated.tables.encoding import CategoryColumn, Encoder, NumberColumn
from federated.trees import FeatureModel, LabelModel
from federated.trees.forest import OWN, PARTNER

__all__ = ["asked_of", "card", "importance", "more_told", "numbers"]

Row = tuple[str, ...]
SCORE_BITS = 5
INTERCEPT = "intercept"
"""Of a score where nobody says how many."""
_WHOM = {"consumer": "consumers", "company": "companies", "government": "government bodies"}


def card(part: ModelPart) -> list[tuple[str, str]]:
    """A model card: what the model is for, how good it is, what it told, where it ends."""
    found, about = list(_told_lines(part)), part.card
    made = datetime.fromtimestamp(part.made, UTC).strftime("%d %B %Y")
    lines = [
        ("model", f"{part.id}, {part.answers.words} of '{part.task}'"),
        (
            "part",
            f"{part.party}'s, who has the {part.side}" if part.side == LABEL else _feature(part),
        ),
        ("trained", f"{made}, job {part.job}, contract {part.contract[:16]}"),
        (
            "purpose",
            f"{part.purpose} ({part.purpose_class or 'no class'}), of {_WHOM[part.entity]}",
        ),
        ("data", "; ".join(f"{each.table}: {', '.join(each.features)}" for each in _known(part))),
        ("rows", f"{about['rows']:,} shared{_labelled(part)}"),
        ("quality", _quality(part)),
    ]
    if "asked" in about:
        lines.append(("grown", _grown(part, about["asked"])))
    weights = [f"{name} {share:.0%}" for name, share in _by_party(part)]
    if weights:
        lines.append(("importance", f"{', '.join(weights)} of what moves scores"))
    if isinstance(part.encoder, EvidenceEncoder) and part.linear and part.scale:
        weights = part.linear.coefficients.tolist()
        if said := against_evidence(part.encoder, weights, part.scale):
            lines.append(("look at", said))
    limits = (
        "what is held against a person is a number beside others, no decision; customers unlike "
        "those of the training are scored worse: see the drift that a scoring reports"
    )
    return [*lines, *found, ("limits", limits), ("hash", part.digest)]


def _grown(part: ModelPart, asked: Mapping[str, Any]) -> str:
    """How trees were grown, as the contract asked; who has the label knows how many there are."""
    trees = part.trees
    many = f"up to {asked['trees']}"
    if isinstance(trees, LabelModel):
        many = f"{len(trees.forest.trees)} of {many}"
    found = [
        f"{many} trees of up to {asked['depth']} levels",
        f"learning rate {asked['learning_rate']:g}",
        f"penalty {asked['penalty']:g}",
        f"least weight of a side {asked['least_weight']:g}",
    ]
    if asked["least_rows"]:
        found.append(f"{asked['least_rows']:,} rows on each side of a split at least")
    if asked["subsample"] not in (0, 1):
        found.append(f"each tree on {asked['subsample']:.0%} of the rows")
    if asked["early_stop"]:
        found.append(f"ended after {asked['early_stop']} trees that bring nothing (early_stop)")
    for way, said in (("rising", "rise"), ("falling", "fall")):
        if asked[way]:
            found.append(f"scores only {said} with {', '.join(asked[way])}")
    return "; ".join(found)


def _feature(part: ModelPart) -> str:
    return f"{part.party}'s, which tells {part.receiver} its part of a score"


def _known(part: ModelPart) -> Iterator[Any]:
    """A partner names its own columns first."""
    yield from sorted(part.brought, key=lambda each: each.party != part.party)


def _labelled(part: ModelPart) -> str:
    if "labelled" not in part.card:
        return ""
    of = f", {part.card['positives']:,} of them positive" if "positives" in part.card else ""
    return f", {part.card['labelled']:,} with a label{of}"


def _quality(part: ModelPart) -> str:
    about = part.card
    if part.side != LABEL:
        return f"known to {part.receiver} alone"
    if "rmse" in about:
        return f"off by {about['rmse']:g} (RMSE) on {about['held_out_rows']:,} rows held out"
    if "explained" in about:
        return (
            f"explains {about['explained']:.3f} of {about['label']} on {about['held_out_rows']:,} "
            f"rows held out{_counted(part, 'sums')}"
        )
    if "auc" not in about:
        return f"not measured here: {_unmeasured(part)}"
    both = [about[name] for name in ("auc_low", "auc_high") if name in about]
    ends = f" ({both[0]:.3f} to {both[1]:.3f})" if len(both) > 1 else ""
    return (
        f"AUC {about['auc']:.3f}{ends} on {about['held_out_rows']:,} rows held out{_counted(part)}"
    )


def _unmeasured(part: ModelPart) -> str:
    if part.card.get("spoilt"):
        return "the counts that the partner told cannot be those of these rows"
    counted = not part.told and not part.boosted and "told_bits" not in part.card
    return "see the training's report" if counted else "no rows were held out"


def _counted(part: ModelPart, by: str = "counts") -> str:
    """By what it is measured, where no row's score was told."""
    noise = part.card.get("counts_noise", 0.0)
    over = {"counts": "of", "sums": "over"}[by]
    return f", by {by} {over} them with noise of {noise:g}" if noise else ""


def _told_lines(part: ModelPart) -> Iterator[tuple[str, str]]:
    partners = " and ".join(part.partners)
    if part.hidden:
        bits = f"{part.told} bits of a row's score, and no side of a split (score_bits {part.told})"
    elif part.boosted:
        bits = f"one bit of a row on each of {part.told} levels on which {partners} splits"
        if len(part.partners) > 1:
            who = part.party if part.side == FEATURE else f"each of {partners}"
            most = "at most " * (part.side != FEATURE)
            bits = (
                f"of {who} one bit of a row on each of {most}{part.told} levels on which it splits"
            )
    elif not part.told:
        bits = _counts_told(part, partners)
    else:
        bits = f"{told_bits(part.told):.1f} bits of a row of {partners} (score_bits {part.told})"
    yield "told then", bits
    if part.side == LABEL:
        asked = ", ".join(f"{name} = {value}" for name, value in asked_of(part).items())
        yield (
            "to score",
            f'[[score]] task = "{part.task}", model = "{part.id}", {asked}{more_told(part)}',
        )


def asked_of(part: ModelPart) -> dict[str, int]:
    """What `[[score]]` says of a model, where nobody wants it otherwise."""
    if isinstance(part.trees, HiddenLabelModel | HiddenFeatureModel):
        shape = {"trees": part.trees.trees, "depth": part.trees.depth}
        return {"score_bits": part.told, **shape}
    if part.boosted:
        return {"row_bits": max(1, part.told)}
    return {"score_bits": part.told or SCORE_BITS}


def more_told(part: ModelPart) -> str:
    """What scoring tells that the training did not; "" where it tells no more."""
    if part.told or part.boosted:
        return ""
    return f": tells {told_bits(SCORE_BITS):.1f} bits of each row, where the training told no score"


def _counts_told(part: ModelPart, partners: str) -> str:
    """Of a training that told no row's score, but of those on a list."""
    said, about = "no score of any row: rows were counted by it", part.card
    if "told_bits" not in about:  # a part of an earlier version
        return "rows were counted by their score: see the training's report"
    if about.get("listed"):
        said = "no score of any row but those listed" if about["listed_bits"] else "no row's score"
        many = f"{about['listed']:,}"
        said += f": rows were counted by it, and one bit a row said who is on a list of {many}"
    return f"{about['told_bits']:g} bits of a row of {partners} at most, and {said}"


def _by_party(part: ModelPart) -> list[tuple[str, float]]:
    found: dict[str, float] = part.card.get("by_party", {})
    total = sum(found.values())
    return [(name, value / total) for name, value in found.items()] if total else []


def importance(part: ModelPart) -> list[tuple[str, float]]:
    """Own columns by how far they move scores, largest first; of trees by what splits gained."""
    found: dict[str, float] = {}
    if isinstance(part.trees, LabelModel):
        found = part.trees.importance(part.partners)
    elif part.trees is not None:
        names = [each.name for each in part.trees.binning.columns]
        for column in _columns_split(part.trees):
            found[names[column]] = found.get(names[column], 0.0) + 1.0
    elif part.encoder is not None and part.linear is not None:
        weights = np.abs(part.linear.coefficients).tolist()
        for name, weight in zip(part.encoder.names, weights, strict=True):
            found[name] = weight
    return sorted(found.items(), key=lambda each: -each[1])


def _columns_split(trees: FeatureModel | HiddenFeatureModel | HiddenLabelModel) -> list[int]:
    """Own splits' columns."""
    if isinstance(trees, FeatureModel):
        return [split.column for split in trees.splits]
    own = trees.splits[trees.splits >= 0]
    return [trees.binning.layout.split(int(one))[0] for one in own]


def numbers(part: ModelPart) -> tuple[Row, list[Row]]:
    """Heads and rows: coefficients of encoded columns; of trees splits, own ones with their place;
    of a scorecard points by bin.

    A number's coefficient is of one standard deviation of it, a category's of being in it. With the
    intercept, which the label party has, a row's score is the sum of what it reaches: of trees the
    value of one leaf a tree.
    """
    if isinstance(part.trees, LabelModel):
        return ("tree", "place", "split", "gain", "value"), list(_nodes(part.trees, part.partners))
    if isinstance(part.trees, HiddenLabelModel):
        return ("tree", "node", "split", "value"), list(_hidden_nodes(part.trees, part.partners[0]))
    if isinstance(part.trees, FeatureModel | HiddenFeatureModel):
        words = part.trees.words()
        return ("number", "goes left"), [(str(at), text) for at, text in enumerate(words)]
    if isinstance(part.encoder, EvidenceEncoder):
        heads = ("column", "bin", "rows", "weight of evidence", "points")
        return heads, list(_points(part, part.encoder))
    return ("column", "of", "coefficient"), list(_coefficients(part))


def _points(part: ModelPart, encoder: EvidenceEncoder) -> Iterator[Row]:
    """A line a bin, and of the label party the points of the average record."""
    assert part.linear is not None  # noqa: S101  a scorecard has both
    assert part.scale is not None  # noqa: S101
    scale = part.scale
    if part.side == LABEL:
        yield "", "the average record", "", "", f"{scale.of(np.array(part.linear.intercept)):.0f}"
    for line in point_lines(encoder, part.linear.coefficients.tolist(), scale):
        rows, woe = f"{line['rows']:,}", f"{line['woe']:+.4f}"
        yield line["column"], line["bin"], rows, woe, f"{line['points']:+d}"


def _coefficients(part: ModelPart) -> Iterator[Row]:
    assert isinstance(part.encoder, Encoder)  # noqa: S101  a regression has both
    assert part.linear is not None  # noqa: S101
    weights = iter(part.linear.coefficients.tolist())
    for column in part.encoder.columns:
        for name in column.names:
            yield name, _unit(column, name), f"{next(weights):+.6g}"
    if part.side == LABEL:
        yield INTERCEPT, "", f"{part.linear.intercept:+.6g}"


def _unit(column: NumberColumn | CategoryColumn, name: str) -> str:
    if isinstance(column, CategoryColumn):
        return f"1, beside {column.reference}"
    return f"(value - {column.mean:.6g}) / {column.scale:.6g}" if name == column.name else "1"


def _nodes(model: LabelModel, partners: Sequence[str]) -> Iterator[Row]:
    layout, names = model.forest.layout, [f"{name}'s" for name in partners]
    whose = names if len(names) > 1 else ["the partner's"]
    yield "", "", INTERCEPT, "", f"{model.forest.base:+.9g}"
    for number, tree in enumerate(model.forest.trees):
        reached = {0}
        for place in range(len(tree.kind)):
            if place not in reached:
                continue
            value = f"{tree.value[place]:+.6g}"
            if not tree.kind[place]:
                yield str(number), str(place), "leaf", "", value
                continue
            reached |= {2 * place + 1, 2 * place + 2}
            split = int(tree.split[place])
            if tree.kind[place] == OWN:
                words = model.binning.words(*layout.split(split))
            else:
                words = f"{whose[int(tree.kind[place]) - PARTNER]} split {split}"
            yield str(number), str(place), words, f"{tree.gain[place]:.6g}", value


def _hidden_nodes(model: HiddenLabelModel, partner: str) -> Iterator[Row]:
    layout, nodes = model.binning.layout, model.splits.shape[1]
    theirs = f"a split of {partner}'s, which one is not told"
    yield "", "", INTERCEPT, f"{model.base:+.9g}"
    for number, (splits, values) in enumerate(zip(model.splits, model.values, strict=True)):
        for node, split in enumerate(splits.tolist()):
            words = model.binning.words(*layout.split(split)) if split >= 0 else theirs
            yield str(number), str(node), words, ""
        for leaf, value in enumerate(values.tolist()):
            yield str(number), str(nodes + leaf), "leaf", f"{value * 2.0**-VALUE_BITS:+.6g}"
