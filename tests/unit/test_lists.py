"""What commands list is whole in a pipe: no cell is cut off, nothing in it moves the terminal."""

from __future__ import annotations

import pytest

from federated.cli.lists import print_rows


def test_a_row_is_one_whole_line_where_no_terminal_is(capsys: pytest.CaptureFixture[str]) -> None:
    columns = ", ".join(f"column_{place}" for place in range(40))
    print_rows(("job", "columns"), [("a1", columns), ("b2", "x\x1b[2J\ny")])
    head, first, second = capsys.readouterr().out.splitlines()
    assert head == "job  columns"
    assert first == f"a1   {columns}"
    assert second.startswith("b2   x")
    assert "\x1b" not in second
    print_rows(("job",), [("c" * 700,)])
    assert len(capsys.readouterr().out.splitlines()[1]) <= 600
