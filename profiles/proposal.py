"""From a job file to the draft of a contract."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from federated.contract.disclosures import disclosures
from federated.contract.kinds.train import TrainAsked
from federated.contract.parts import FeatureTerms
from federated.contract.terms import (
    VERSION,
    AggregateTerms,
    AlignTerms,
    AmountTerms,
    BinningTerms,
    CategoryTerms,
    Contract,
    JoinSumTerms,
    Measure,
    PartyTerms,
    ScoreTerms,
    TrainTerms,
    suites_for,
)
from federated.keys.party_keys import Identity, PartyKeys
from profiles.job import Job
from profiles.told_list import told_bits, told_length
from psi.align import ALTERNATIVE, AlignSettings
from psi.protocol import JobError, PeerError

__all__ = ["draft", "nameless_draft"]

DAY = 24 * 3600
CLOCK_SKEW = 300


def draft(job: Job, identities: Mapping[str, Identity], nonce: bytes, now: float) -> Contract:
    """The contract that `job` asks for, without the facts of anyone's table.

    Raises `JobError` where it asks for what no contract may have.
    """
    contract = Contract(
        version=VERSION,
        nonce=nonce.hex(),
        job=job.name,
        purpose=job.purpose,
        purpose_class=job.purpose_class,
        entity=job.entity,
        proposer=job.receiver,
        receiver=job.receiver,
        not_before=int(now) - CLOCK_SKEW,
        expires=int(now) + job.valid_hours * 3600,
        retention_days=job.retention_days,
        seed=job.seed,
        parties=tuple(_party(job, party.name, identities[party.name]) for party in job.parties),
        align=_align(job),
        aggregate=_aggregate(job),
        train=_train(job),
        join_sum=_join_sum(job),
        category=_category(job),
        binning=_binning(job),
        score=_score(job),
        series=() if job.series is None else (job.series,),
    )
    steps = contract.align, contract.summed, contract.train, contract.score
    contract = replace(contract, suites=suites_for(*steps))
    contract = replace(contract, disclosures=disclosures(contract))
    try:
        contract.check()
    except PeerError as error:  # what no other party would take is this job's to mend
        raise JobError(f"{job.file}: {error.message}", hint=error.hint) from None
    return contract


def nameless_draft(job: Job) -> Contract:
    """The same with keys that are thrown away: to look at, not to propose."""
    identities = {party.name: PartyKeys.generate(party.name).identity for party in job.parties}
    return draft(job, identities, secrets.token_bytes(32), time.time())


def _party(job: Job, name: str, identity: Identity) -> PartyTerms:
    spec = job.party(name)
    receiver = name == job.receiver
    kinds = job.align.kinds if job.align else ()
    asked = [*(train.label for train in job.trains), *(b.label for b in job.binnings)]
    labels = tuple(dict.fromkeys(asked))
    return PartyTerms(
        name=name,
        organisation=identity.organisation.hex(),
        sealing=identity.sealing.hex(),
        table=spec.table,
        keys=spec.keys,
        kinds=kinds if spec.keys else (),
        features=spec.features if job.trains or job.scores else (),
        measures=_measures(job, name),
        labels=labels if receiver or job.horizontal else (),
        segments=_segments(job) if receiver else (),
        weights=tuple(dict.fromkeys(c for t in job.trains for c in (t.weight, t.offset) if c))
        if receiver
        else (),
        times=tuple(dict.fromkeys(t.time for t in job.trains if t.time)) if receiver else (),
    )


def _measures(job: Job, name: str) -> tuple[str, ...]:
    columns = [c for a in job.aggregates if a.partner == name for c, _ in a.measures]
    columns += [c for j in job.join_sums if j.partner == name for c, _ in j.measures]
    columns += [c for b in job.binnings if b.partner == name for c in b.columns]
    for spec in job.categories:
        columns += [spec.category] if spec.partner == name else []
        columns += [a.column for a in spec.amounts] if name == job.receiver else []
    return tuple(dict.fromkeys(columns))


def _segments(job: Job) -> tuple[str, ...]:
    columns = [a.by for a in job.aggregates] + [c.segment for c in job.categories if c.segment]
    return tuple(dict.fromkeys(columns))


def _align(job: Job) -> tuple[AlignTerms, ...]:
    if job.align is None:
        return ()
    spec = job.align
    protocol = {"protocol": "ecdh"} if spec.protocol == "auto" else {}
    return tuple(
        AlignTerms(
            partner=partner,
            **_said(spec, AlignSettings) | protocol,
            keep_tags_days=spec.keep_tags_days,
            keep_tags_items=spec.keep_tags_items,
            alternative=ALTERNATIVE if job.open_protocol else "",
        )
        for partner in job.partners()
    )


def _aggregate(job: Job) -> tuple[AggregateTerms, ...]:
    return tuple(
        AggregateTerms(
            a.partner,
            a.by,
            tuple(Measure(*m) for m in a.measures),
            a.minimum_group,
            0 if a.protocol == "sums" else job.key_bits,
            a.protocol,
        )
        for a in job.aggregates
    )


def _category(job: Job) -> tuple[CategoryTerms, ...]:
    return tuple(
        CategoryTerms(
            partner=c.partner,
            category=c.category,
            categories=c.categories,
            segment=c.segment,
            amounts=tuple(AmountTerms(a.column, a.low, a.high) for a in c.amounts),
            noise="laplace" if c.epsilon else "none",
            epsilon=c.epsilon,
            minimum_group=c.minimum_group,
            key_bits=0 if c.protocol == "sums" else job.key_bits,
            protocol=c.protocol,
        )
        for c in job.categories
    )


def _binning(job: Job) -> tuple[BinningTerms, ...]:
    return tuple(
        BinningTerms(
            partner=b.partner,
            columns=b.columns,
            label=b.label,
            positive=b.positive,
            bins=b.bins,
            minimum_group=b.minimum_group,
            monotone=b.monotone,
            epsilon=b.epsilon,
        )
        for b in job.binnings
    )


def _join_sum(job: Job) -> tuple[JoinSumTerms, ...]:
    return tuple(
        JoinSumTerms(
            partner=j.partner,
            measures=tuple(Measure(*m) for m in j.measures),
            minimum_group=j.minimum_group,
            key_bits=0 if j.protocol == "sums" else job.key_bits,
            epsilon=j.epsilon,
            ranges=tuple(AmountTerms(r.column, r.low, r.high) for r in j.ranges),
            protocol=j.protocol,
        )
        for j in job.join_sums
    )


def _train(job: Job) -> tuple[TrainTerms, ...]:
    found = []
    for spec in job.trains:
        partners = tuple(name for name in job.partners() if job.features(spec, name))
        listed, bits = told_length(job, spec.task), told_bits(job, spec.task)
        asked = _said(spec, TrainAsked)
        found.append(TrainTerms(**asked, partners=partners, listed=listed, listed_bits=bits))
    return tuple(found)


def _score(job: Job) -> tuple[ScoreTerms, ...]:
    found = []
    for spec in job.scores:
        partners = tuple(name for name in job.partners() if job.features(spec, name))
        named = [(name, job.features(spec, name)) for name in (job.receiver, *partners)]
        features = tuple(FeatureTerms(name, columns) for name, columns in named if columns)
        found.append(
            ScoreTerms(
                **_said(spec, ScoreTerms, but=("partners", "features", "listed", "listed_bits")),
                partners=partners,
                features=features,
                listed=told_length(job, spec.task),
                listed_bits=told_bits(job, spec.task),
            )
        )
    return tuple(found)


def _said(spec: Any, asked: type, but: tuple[str, ...] = ()) -> dict[str, Any]:
    """What a section says of the fields that its terms have too."""
    named = (field.name for field in fields(asked) if field.name not in but)
    return {name: getattr(spec, name) for name in named}
