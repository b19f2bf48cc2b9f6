"""What tests of all kinds share."""

from __future__ import annotations

import gc
import importlib.util
import os
import signal
import time
from collections.abc import Iterator
from functools import cache

import pytest
import typer.main
import typer.testing

from tests.sources import cluster, spark

__all__ = ["cluster", "spark"]

# a hundred commands, made once
setattr(typer.testing, "_get_command", cache(typer.main.get_command))  # noqa: B010
gc.disable()  # until all tests are there: what is made on the way to them lives to the end

if importlib.util.find_spec("hypothesis"):  # whole jobs are tried with pytest alone, too
    from hypothesis import settings

    # how long an example takes says nothing on a busy machine
    settings.register_profile("unhurried", deadline=None)
    settings.load_profile("unhurried")


def pytest_collection_finish() -> None:
    """Looks for garbage are rarer from here on, and go past what thousands of tests import.

    A question to an engine is a tree of many small objects: a look after every 700 took a fifth of
    the time of tests that ask one.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    gc.enable()


UNTIL = float(os.environ.get("FEDPROFILE_UNTIL", "inf"))
"""Seconds since 1970 from which no slow test begins: a slow machine then says what it has not
heard, where it would be stopped and have heard nothing.
"""


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Pass over a slow test for which no time is left."""
    if time.time() > UNTIL and item.get_closest_marker("slow"):
        pytest.skip("no time was left")


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Interrupts are heeded, here and in processes started from here.

    A shell tells what it starts in the background to ignore them.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
