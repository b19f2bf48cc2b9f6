"""What tests of all kinds share."""

from __future__ import annotations

import importlib.util
import signal
from collections.abc import Iterator

import pytest

from tests.sources import cluster, spark

__all__ = ["cluster", "spark"]

if importlib.util.find_spec("hypothesis"):  # whole jobs are tried with pytest alone, too
    from hypothesis import settings

    # how long an example takes says nothing on a busy machine
    settings.register_profile("unhurried", deadline=None)
    settings.load_profile("unhurried")


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Interrupts are heeded, here and in processes started from here.

    A shell tells what it starts in the background to ignore them.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
