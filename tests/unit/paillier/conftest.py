"""Keys and paths that the Paillier tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from federated.paillier import PrivateKey, use_path
from tests.unit.paillier.keys import PATHS, toy_key


@pytest.fixture(params=PATHS)
def path(request: pytest.FixtureRequest) -> Iterator[str]:
    with use_path(request.param):
        yield request.param


@pytest.fixture
def toy() -> PrivateKey:
    return toy_key(512)
