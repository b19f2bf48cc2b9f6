"""The report that people look at: one HTML file that opens without a network."""

from profiles.report.data import (
    Aggregated,
    GroupRow,
    Importance,
    Match,
    Model,
    PartyLine,
    ReportData,
    RunFacts,
    Scored,
    SegmentLine,
    StepFacts,
    TargetLine,
    TargetSummary,
    paired_gain,
    scored,
)

__all__ = [
    "Aggregated",
    "GroupRow",
    "Importance",
    "Match",
    "Model",
    "PartyLine",
    "ReportData",
    "RunFacts",
    "Scored",
    "SegmentLine",
    "StepFacts",
    "TargetLine",
    "TargetSummary",
    "paired_gain",
    "scored",
]
