"""What commands list is whole in a pipe: no cell is cut off, nothing in it moves the terminal."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.cells import cell_len

from federated.cli import ledger_views
from federated.cli.lists import padded, print_rows
from federated.keys.party_keys import PartyKeys
from federated.ledger.lines import Ledger
from federated.ledger.listing import job_lines, ledger_lines, selected


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


def test_a_ledger_is_told_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keys = PartyKeys.generate("bureau")
    ledger = Ledger(tmp_path / "ledger.jsonl", keys, lambda: 0.0, bytes(32), {})
    ledger.write("handshake", peers={"bank": "8923 9ca8"})
    ledger.write("reserved", step="train/churn", columns=[f"column_{n}" for n in range(20)])
    ledger.close()
    ledger_views.show(tmp_path / "ledger.jsonl")
    *_, handshake, reserved = capsys.readouterr().out.splitlines()
    assert handshake.endswith("peers bank 8923 9ca8")
    assert reserved.endswith("column_18, column_19")
    assert not set("{}[]'") & set(handshake + reserved)


def test_what_is_printed_of_ledgers_is_data_first(tmp_path: Path) -> None:
    (tmp_path / ("ab" * 32)).mkdir()
    path = tmp_path / ("ab" * 32) / "ledger.jsonl"
    times = iter((0.0, 60.0, 120.0))
    ledger = Ledger(path, PartyKeys.generate("bureau"), lambda: next(times), bytes(32), {})
    ledger.write("refused", job="churn", purpose="retention", by="policy")
    ledger.write("ended", step="contract", peer="bank", why="Refused")
    ledger.close()
    lines = ledger_lines(path)
    assert [line.number for line in lines] == list(range(1, 1 + len(lines)))
    (ended,) = ledger_lines(path, ["ended"])
    assert (ended.step, ended.peer, ended.body) == ("contract", "bank", {"why": "Refused"})
    (job,) = job_lines([path])
    assert (job.session, job.end, job.job) == ("ab" * 32, "ended", "churn")
    assert job.lines == len(lines)
    later = list(selected([path], since=ended.time))
    assert [event["event"] for event in later] == ["ended"]
    assert not list(selected([path], until=lines[0].time, kinds=["ended"]))


def test_wide_characters_take_two_columns() -> None:
    for name in ("age", "客户编号", "客户no"):
        assert cell_len(padded(name, 12)) == 12
    assert padded("too long", 3) == "too long"
