"""The report that people look at: one HTML file that opens without a network."""

from profiles.report.data import Leakage, Match, PartyLine, ReportData, RunFacts, StepFacts
from profiles.report.grouped import (
    Aggregated,
    CategoryMeasure,
    CategoryTable,
    GroupRow,
    Histogram,
    HistogramRow,
)
from profiles.report.listed import SegmentLine, TargetLine, TargetSummary
from profiles.report.measured import Importance, Model, Scored, importance_of, paired_gain, scored
from profiles.report.render import render_report

__all__ = [
    "Aggregated",
    "CategoryMeasure",
    "CategoryTable",
    "GroupRow",
    "Histogram",
    "HistogramRow",
    "Importance",
    "Leakage",
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
    "importance_of",
    "paired_gain",
    "render_report",
    "scored",
]
