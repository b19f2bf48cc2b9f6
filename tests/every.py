"""What `.ci/run` leaves out to stay within its time."""

from __future__ import annotations

import os

import pytest

__all__ = ["EVERY_JOB"]

EVERY_JOB = pytest.mark.skipif(
    not os.environ.get("FEDPROFILE_EVERY_JOB"), reason="FEDPROFILE_EVERY_JOB=1 runs it"
)
"""Whole jobs of a kind that others play too."""
