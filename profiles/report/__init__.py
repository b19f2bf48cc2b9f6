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
    linear_importance,
    paired_gain,
    scored,
)
from profiles.report.render import render_report

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
    "linear_importance",
    "paired_gain",
    "render_report",
    "scored",
]
