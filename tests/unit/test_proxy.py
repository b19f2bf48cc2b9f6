"""A hub is reached without the environment's proxies, and advice names one that is set."""

from __future__ import annotations

import pytest

from federated.wire.proxy import not_reached_hint


def test_no_proxy_is_named_where_none_is_set() -> None:
    assert "proxy" not in not_reached_hint({"https_proxy": "", "PATH": "/bin"})


@pytest.mark.parametrize("name", ["https_proxy", "HTTP_PROXY", "ALL_PROXY"])
def test_a_proxy_is_named_by_its_variable_never_its_value(name: str) -> None:
    hint = not_reached_hint({name: "http://user:word@proxy.example:3128"})
    assert f"{name} is set here" in hint
    assert "word" not in hint
    assert "example" not in hint
