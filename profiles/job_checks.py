"""What concerns several sections of a job file: refused before anything is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from federated.contract.kinds.train import TREES, classes, hidden
from federated.models import MODELS
from federated.text import slug
from federated.trees.plan import MOST_PARTNERS
from profiles.job_sections import KIND_OF
from profiles.label_section import CUT_OFF, PREFIX
from profiles.specs import ScoreSpec
from profiles.told_list import check_told_list
from psi.protocol import JobError

if TYPE_CHECKING:
    from profiles.job import Job
    from profiles.specs import TargetSpec, TrainSpec

__all__ = ["check_job", "view_columns"]


def check_job(job: Job) -> None:
    """What concerns several sections."""
    needs_rows = bool(job.aggregates or job.categories or job.binnings or job.scores) or bool(
        job.trains and not job.horizontal
    )
    if job.align is not None and needs_rows and job.align.reveal != "both":
        raise JobError(
            f"{job.file}: [align] reveal: '{job.align.reveal}' found, both allowed",
            hint="aggregates, binning, training and scoring work on rows that both sides know",
        )
    joins = job.align is not None and (job.align.reveal, job.align.duplicates) == ("both", "join")
    if joins and len(job.parties) > 2:
        raise JobError(
            f"{job.file}: [align] duplicates: 'join' found, collapse allowed with "
            f"{len(job.parties)} parties that put their shared rows together",
            hint='take duplicates = "collapse", or one job for each partner',
        )
    if joins and any(not spec.epsilon for spec in job.categories):
        raise JobError(
            f"{job.file}: [[aggregate]] noise: 'none' found, laplace allowed with "
            'duplicates = "join"',
            hint='exact counts are guarded record by record: take duplicates = "collapse"',
        )
    if joins and job.scores:
        raise JobError(
            f"{job.file}: [align] duplicates: 'join' found, collapse allowed with [[score]]",
            hint="a record is scored once",
        )
    if joins and job.binnings:
        raise JobError(
            f"{job.file}: [align] duplicates: 'join' found, collapse allowed with [[binning]]",
            hint="a record counts once in a bin",
        )
    counted = next((place for place, t in enumerate(job.trains, start=1) if not _scored(t)), 0)
    if joins and counted:
        raise JobError(
            f"{job.file}: [[train]] {counted} score_bits: 0 found with [align] duplicates: 'join', "
            "1 or more allowed",
            hint='a record counts once under the noise: take duplicates = "collapse", or '
            "score_bits = 1 or more",
        )
    if job.horizontal and job.scores:
        raise JobError(f"{job.file}: [[score]]: a horizontal job joins no rows")
    if job.horizontal and job.binnings:
        raise JobError(f"{job.file}: [[binning]]: a horizontal job joins no rows")
    for partner in job.partners():
        ways = dict.fromkeys(a.protocol for a in job.aggregates if a.partner == partner)
        if len(ways) > 1:
            raise JobError(
                f"{job.file}: [[aggregate]] protocol: {' and '.join(ways)} found towards "
                f"{partner}, one protocol for all sections of a partner allowed",
            )
        asked = [m for a in job.aggregates if a.partner == partner for m in set(a.measures)]
        squared = [column for column, statistic in asked if statistic == "variance"]
        if twice := [column for column in squared if squared.count(column) > 1]:
            raise JobError(
                f"{job.file}: [[aggregate]] measures: {partner}.{twice[0]}:variance found in "
                f"{squared.count(twice[0])} sections, 1 allowed",
                hint="by two a receiver that lies about its segments reads values of rows: ask the "
                "mean in the others",
            )
    if job.join_sums and (job.align is None or job.align.reveal != "cardinality"):
        raise JobError(
            f"{job.file}: [align] reveal: cardinality needed for [[join_sum]]",
            hint="where both sides know the shared rows, use [[aggregate]]",
        )
    for key, specs in (
        ("aggregate", [*job.aggregates, *job.categories]),
        ("join_sum", job.join_sums),
        ("binning", job.binnings),
    ):
        if len(set(specs)) < len(specs):
            raise JobError(f"{job.file}: [[{key}]]: two sections found that ask the same")
    products = [target.product for target in job.targets]
    for place, target in enumerate(job.targets):
        for name in (name for name in target.after if name not in products[:place]):
            raise JobError(
                f"{job.file}: [[target]] {target.product!r}: after: no list {name!r} before it, "
                f"found: {', '.join(products[:place]) or 'none'}",
                hint="lists are made in the order of the job file",
            )
    twice = [product for product in dict.fromkeys(products) if products.count(product) > 1]
    if twice:
        raise JobError(
            f"{job.file}: [[target]] product: {twice[0]!r} found {products.count(twice[0])} times, "
            "allowed: once",
            hint="a list is known by its product: name each differently",
        )
    _check_offers(job)
    _check_trains(job)
    _check_label(job)
    if job.horizontal and job.targets and not job.profile.facts:
        raise JobError(
            f"{job.file}: [profile] facts: none found, one needed with [[target]]",
            hint="the first names the customer: a horizontal job has no keys",
        )
    if job.horizontal and len({party.features for party in job.parties}) != 1:
        raise JobError(
            f"{job.file}: [[party]] features: a horizontal job needs the same everywhere"
        )


def _check_offers(job: Job) -> None:
    """Offers have names of their own, and are chosen as their list's caps and the law let them."""
    names = [offer.name for offer in job.offers]
    if twice := next((name for name in names if names.count(name) > 1), ""):
        raise JobError(f"{job.file}: [[offer]] name: {twice!r} found twice, allowed: once")
    for place, target in enumerate(job.targets, start=1):
        where, mine = (
            f"{job.file}: [[target]] {place}",
            [o for o in job.offers if o.of(target.product)],
        )
        if target.effects and not mine:
            raise JobError(f"{where} effects: found without an [[offer]]")
        if target.choose == "rule" and (target.budget is not None or target.channels):
            raise JobError(
                f"{where} choose: rule found, value allowed with a budget or channels",
                hint="who comes within a tier has it: a published table has no cap",
            )
        if target.choose == "value" and not mine:
            raise JobError(
                f"{where} choose: value found, and no [[offer]] for {target.product!r}",
                hint="an [[offer]] has a name, value and cost; without offers leave choose out",
            )
        strange = [c for c, _ in target.channels if c not in {o.channel for o in mine}]
        if strange:
            raise JobError(f"{where} channels: {strange[0]!r} found, no [[offer]] goes by it")
        if target.choose != "value":
            continue
        relief = next((offer.name for offer in mine if offer.cost_of), "")
        if relief and job.entity == "consumer":
            raise JobError(
                f"{where} choose: value found, rule allowed for {relief!r}: a price of its own for "
                "each person",
                hint="relief for individuals goes by a published table of tiers, never by a score",
            )
        for offer in mine:
            if not offer.value and not offer.value_of:
                raise JobError(f"{where} choose: value found, and {offer.name!r} has no value")
        if target.effects and any(offer.uplift is not None for offer in mine):
            raise JobError(
                f"{where} effects: found, and an [[offer]] with an uplift, one of them allowed"
            )
        known = {offer.uplift is None for offer in mine}
        if len(known) > 1:
            raise JobError(
                f"{where} choose: value found, with and without an uplift",
                hint="what offers change and how likely an outcome is are not of one kind: give "
                "all of them an uplift, or none",
            )


def _check_label(job: Job) -> None:
    """A label of flows: its rows are as of cut-offs, and so are the receiver's columns."""
    made = job.label
    if made is None:
        return
    trains = [train for train in job.trains if train.label == made.column]
    if not trains:
        raise JobError(
            f"{job.file}: [label]: found, and no training asks for it",
            hint=f'[[train]] label = "{PREFIX}{made.task}"',
        )
    several = len(made.cut_offs) > 1
    if several and job.align is not None and job.align.duplicates != "join":
        raise JobError(
            f"{job.file}: [align] duplicates: {job.align.duplicates!r} found, 'join' needed with "
            f"{len(made.cut_offs)} cut-offs",
            hint="an entity has a row for each cut-off",
        )
    for train in trains:
        days = [day.isoformat() for day in made.cut_offs]
        if train.time and (train.time != CUT_OFF or train.validate_from not in days[1:]):
            raise JobError(
                f"{job.file}: [[train]] time and validate_from: {train.time!r} and "
                f"{train.validate_from} found, {CUT_OFF!r} and a cut-off after the first needed",
                hint="a row of a label is as of its cut-off",
            )
    timeless = set(job.party(job.receiver).features) - {*made.fixed, *view_columns(job.entity)}
    if timeless:
        raise JobError(
            f"{job.file}: [[party]] features: {min(timeless)!r} found beside [label]: when it was "
            "known nobody can say",
            hint='take a column of a feature view ("view:NAME"), or, if it never changes, name it '
            "under [label] fixed",
        )


def view_columns(entity: str) -> dict[str, str]:
    """Every column of a feature view that such entities have, and its view."""
    from profiles.views import VIEWS, columns_of  # an engine's library is behind it

    kind = KIND_OF[entity]
    return {column.name: view for view in VIEWS for column in columns_of([view], kind)}


def _check_trains(job: Job) -> None:
    """Trainings are told apart, and each asks something of its own."""
    if job.horizontal and len(job.trains) > 1:
        raise JobError(
            f"{job.file}: [[train]]: {len(job.trains)} found, one allowed with split = "
            '"horizontal"',
            hint="several trainings share one alignment, which a horizontal job has not",
        )
    if job.horizontal and job.trains[0].features:
        raise JobError(
            f'{job.file}: [train] features: found, none allowed with split = "horizontal"',
            hint="every party brings the same columns: name them in [[party]] features",
        )
    tasks: list[TrainSpec | ScoreSpec] = [*job.trains, *job.scores]
    for place, target in enumerate(job.targets, start=1):
        trained = target.task in [train.task for train in job.trains]
        if target.tells == "list":
            check_told_list(job, place, target, scored=_scored)
        elif target.score_bits:
            raise JobError(
                f"{job.file}: [[target]] {place} score_bits: {target.score_bits} found, none "
                'allowed without tells = "list"',
                hint="how finely all rows' scores are told stands in [[train]]",
            )
        elif not job.horizontal and target.task in [t.task for t in tasks if not _scored(t)]:
            raise JobError(
                f"{job.file}: [[target]] {place} task: {target.task!r} found, whose rows have no "
                "score with score_bits = 0",
                hint='tells = "list" in [[target]] tells one bit a row, who is on the list; or '
                f"score_bits = 1 or more in [[{'train' if trained else 'score'}]]",
            )
        if trained and not classes(job.train(target.task)):
            _check_ranked_by_number(job, place, target)
    names = [slug(one.task) for one in tasks]  # what columns are called
    for train in tasks:
        if names.count(slug(train.task)) > 1:
            where = "[[train]]" if train in job.trains else "[[score]]"
            raise JobError(
                f"{job.file}: {where} task: {train.task!r} found more than once, or another "
                "that becomes the same column",
                hint="scores are known by their task: name each differently",
            )
    if not job.horizontal:
        _check_features(job)
    for place, train in enumerate(job.trains, start=1):
        holder = job.receiver if not job.horizontal else job.parties[0].name
        if train.label in job.features(train, holder):
            raise JobError(
                f"{job.file}: [[train]] {place} features: {train.label!r} found, its label",
                hint="a model of it would tell what is known; leave it out of features",
            )
    asked = [(train.label, train.positive, frozenset(train.features)) for train in job.trains]
    twice = [one[0] for one in asked if asked.count(one) > 1]
    if twice:
        raise JobError(
            f"{job.file}: [[train]] label: {twice[0]!r} found in two trainings by the same "
            "columns, one allowed",
            hint="a second answer to the same question tells more of the rows, and nothing new",
        )


def _scored(train: TrainSpec | ScoreSpec) -> bool:
    """Whether rows get a score: else a model is measured by sums over rows only, and lists told."""
    if isinstance(train, ScoreSpec):
        return train.score_bits > 0 or train.row_bits > 0
    return train.model not in MODELS or train.split != "vertical" or train.score_bits > 0


def _check_ranked_by_number(job: Job, place: int, target: TargetSpec) -> None:
    """A list by a predicted number has no outcome to leave out, nor a chance to pay by."""
    where = f"{job.file}: [[target]] {place}"
    if target.leave_out == "positive":
        raise JobError(
            f'{where} leave_out: "positive" found, "labelled" or "none" allowed: '
            f"{target.task!r} predicts a number",
            hint='leave_out = "labelled" lists whose number is not known yet',
        )
    if target.choose == "value":
        raise JobError(
            f"{where} choose: value found, rule allowed: {target.task!r} predicts a number, "
            "not how likely an outcome is",
            hint='choose = "rule", or a task of two classes',
        )


def _check_features(job: Job) -> None:
    """Every training has a partner's column, and every column a training."""
    for place, train in enumerate(job.trains, start=1):
        if not any(job.features(train, name) for name in job.partners()):
            key = f"[[train]] {place} features" if train.features else "[[party]] features"
            raise JobError(f"{job.file}: {key}: no partner brings any")
        bringing = [name for name in job.partners() if job.features(train, name)]
        if hidden(train) and len(bringing) > 1:
            raise JobError(
                f"{job.file}: [[train]] {place} tells: nothing found with columns of "
                f"{' and '.join(bringing)}, of one partner allowed",
                hint="name one partner's columns in features, each partner in a training of its "
                'own, or tells = "sides"',
            )
        if train.model == TREES and len(bringing) > MOST_PARTNERS:
            raise JobError(
                f"{job.file}: [[train]] {place} model: trees of columns of {len(bringing)} "
                f"partners found, 1 to {MOST_PARTNERS} allowed",
                hint="name fewer partners' columns in features",
            )
        if hidden(train) and not job.features(train, job.receiver):
            raise JobError(
                f"{job.file}: [[train]] {place} tells: nothing found without a column of "
                f"{job.receiver}, one of the receiver's needed",
                hint='name one in features, or tells = "sides"',
            )
        if not classes(train) and len(bringing) > 1:
            raise JobError(
                f"{job.file}: [[train]] {place} model: {train.model} of columns of "
                f"{' and '.join(bringing)} found, of one partner allowed",
                hint="name one partner's columns in features, each partner in its own training",
            )
    if len({hidden(train) for train in job.trains if train.model == TREES}) > 1:
        raise JobError(
            f"{job.file}: [[train]] tells: sides and nothing found, trees of one kind allowed",
            hint="two jobs: a contract names one way to grow trees",
        )
    for place, score in enumerate(job.scores, start=1):
        bringing = [name for name in job.partners() if job.features(score, name)]
        if not _scored(score) and not any(t.task == score.task for t in job.targets):
            raise JobError(
                f"{job.file}: [[score]] {place} score_bits: 0 found without a list of "
                f"{score.task!r}",
                hint='[[target]] with tells = "list": one bit a row says who is on it',
            )
        if not bringing:
            raise JobError(
                f"{job.file}: [[score]] {place}: no partner brings a column",
                hint="[[party]] features are those of the training",
            )
    asking: list[TrainSpec | ScoreSpec] = [*job.trains, *job.scores]
    for party in job.parties if asking else ():
        used = {column for one in asking for column in job.features(one, party.name)}
        idle = [column for column in party.features if column not in used]
        if idle:
            raise JobError(
                f"{job.file}: [[party]] features: {idle[0]!r} of {party.name} is in no training",
                hint="leave it out, or name it in a [[train]] features",
            )
