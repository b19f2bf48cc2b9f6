"""Where a hub is not reached, advice names a proxy that is set, and never its address."""

from __future__ import annotations

import pytest

from federated.wire.proxy import not_reached_hint


def test_no_proxy_is_named_where_none_is_set() -> None:
    assert "proxy" not in not_reached_hint("hub.example", {"https_proxy": "", "PATH": "/bin"})


@pytest.mark.parametrize("name", ["https_proxy", "HTTPS_PROXY", "ALL_PROXY"])
def test_a_proxy_is_named_by_its_variable_never_its_value(name: str) -> None:
    given = {name: "http://user:word@proxy.example:3128"}
    through, direct = not_reached_hint("hub.bank", given), not_reached_hint("", given)
    assert f"{name} is set here: set no_proxy=hub.bank" in through
    assert f"{name} is set here: the hub is reached directly" in direct
    for hint in (through, direct):
        assert not {"word", "example"} & set(hint.replace(":", " ").replace(".", " ").split())
