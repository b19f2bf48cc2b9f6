"""Networks of a rate, what is computed for them, and drawings and tables of both."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import networks, plots, rows, svg, tables
from benchmarks.psi import measure
from benchmarks.rows import Row
from psi.protocol import EnvironmentFailed, InputError, MisuseError
from tests.e2e.hub_network import netns

ROOT = Path(__file__).parents[2]


def row(
    subject: str, wall: float, *, size: int = 10**6, network: str = "loopback", sent: int = 10**8
) -> Row:
    case = {"size_a": size, "size_b": size, "mode": "receiver", "source": "memory"}
    run = {"wall_s": wall, "cpu_s": [wall, wall], "wire_bytes": sent, "peak_mb": [1.0, 2.0]}
    return rows.median_row("psi", subject, case, [run], network)


RACES = [
    row("ours-vole", 1.0),
    row("spu-rr22", 2.0),
    row("ours-vole", 8.5, network="100 Mb/s"),
    row("ours-vole", 0.1, size=1000),
    rows.median_row("psi", "spu-ecdh", {"size_a": 9, "size_b": 9},
                    [{"error": "no result"}], "loopback"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "bits", "told"),
    [
        ("100mbit", 10**8, "100 Mb/s"),
        ("1gbit", 10**9, "1 Gb/s"),
        ("2.5gbit", 25 * 10**8, "2.5 Gb/s"),
        ("512kbit", 512_000, "512 kb/s"),
    ],
)
def test_rates_are_read_and_told(text: str, bits: int, told: str) -> None:
    assert networks.rate_of(text) == bits
    assert networks.told_rate(bits) == told
    assert networks.rate_of(told) == bits


def test_a_delay_is_read_and_told() -> None:
    for text in ("100mbit-10ms", "100 Mb/s, 10 ms"):
        assert networks.rate_of(text) == 10**8
        assert networks.delay_of(text) == 0.01
    assert networks.delay_of("1gbit") == 0.0


@pytest.mark.parametrize(
    "text", ["fast", "100mbit-ms", "100mbit10ms", "100", "0mbit", "-1mbit", "1 mbit;reboot"]
)
def test_no_other_network_is_taken(text: str) -> None:
    with pytest.raises(MisuseError, match="loopback or a rate such as 100mbit allowed"):
        networks.rate_of(text)


def test_a_cable_has_its_rate_at_both_ends() -> None:
    made = networks.cable_commands(("a", "b"), ("10.0.0.1", "10.0.0.2"), 10**9)
    assert made[:2] == [("ip", "netns", "add", "a"), ("ip", "netns", "add", "b")]
    shapers = [command for command in made if "tbf" in command]
    assert [command[3] for command in shapers] == ["a", "b"]
    for command in shapers:
        assert " ".join(command).endswith("tbf rate 1000000000bit burst 250000 latency 50ms")


def test_a_network_that_cannot_be_made_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with (
        pytest.raises(EnvironmentFailed, match=r"100 Mb/s needs root .*apt install iproute2"),
        networks.network("100mbit"),
    ):
        pass


def test_bytes_take_their_time_after_the_work() -> None:
    assert plots.seconds_over(row("ours-vole", 2.0, sent=1000), 8000) == 3.0


def test_rows_measured_again_replace_the_earlier_ones() -> None:
    again = [row("ours-vole", 0.9), row("ours-vole", 9.0, network="1 Gb/s")]
    found = rows.merged(RACES, again)
    assert len(found) == len(RACES) + 1
    assert found[-2:] == again
    assert RACES[0] not in found


def texts(path: Path) -> list[str]:
    drawn = ElementTree.parse(path)  # noqa: S314
    return [text.text or "" for text in drawn.iter("{http://www.w3.org/2000/svg}text")]


def test_drawings_name_every_line(tmp_path: Path) -> None:
    plots.plot_sizes(RACES, tmp_path / "size.svg")
    assert {"ours-vole", "spu-rr22", "10³", "10⁶"} <= set(texts(tmp_path / "size.svg"))
    assert "spu-ecdh" not in texts(tmp_path / "size.svg")
    plots.plot_bandwidth(RACES, tmp_path / "band.svg")
    found = texts(tmp_path / "band.svg")
    assert {"ours-vole", "spu-rr22", "10 Mb/s", "10 Gb/s"} <= set(found)
    assert any("◆ measured" in text for text in found)
    with pytest.raises(InputError, match="no races over loopback"):
        plots.plot_sizes(RACES[2:3], tmp_path / "none.svg")


def test_names_at_the_edge_do_not_overlap() -> None:
    wanted = [100.0, 101.0, 102.0, 300.0, 419.0]
    placed = svg._apart(wanted, svg.TOP, svg.HEIGHT - svg.BOTTOM)
    assert all(b - a >= svg.LABEL for a, b in pairwise(placed))
    assert placed[3] == 300.0
    assert placed[-1] <= svg.HEIGHT - svg.BOTTOM


def test_tables_come_from_the_rows(tmp_path: Path) -> None:
    rows.save(tmp_path / "rows.json", RACES)
    marks = "".join(
        f"<!-- rows: rows.json {kind} -->\nstale\n<!-- end of rows -->\n" for kind in tables.TABLES
    )
    page = tmp_path / "page.md"
    page.write_text(f"before\n{marks}after\n", encoding="utf-8")
    assert tables.rewrite(page) == [f"{kind} from rows.json" for kind in tables.TABLES]
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "stale" not in text
    assert "| 1,000,000 | 1 | 2 |  |\n" in text
    assert "| 1,000,000 | 0.50 |\n" in text
    assert "| 100 Mb/s | 1,000,000 | ours-vole | 9 s | 8.5 s | 0.94 |\n" in text
    tables.rewrite(page)
    assert page.read_text(encoding="utf-8") == text
    with pytest.raises(InputError, match="table 'speeds' found, attacks, insider, walls, ratios"):
        tables.rewritten("<!-- rows: rows.json speeds -->\n<!-- end of rows -->", tmp_path)


def test_the_tables_of_our_page_are_those_of_its_rows() -> None:
    page = ROOT / "docs" / "BENCHMARKS.md"
    text = page.read_text(encoding="utf-8")
    assert tables.rewritten(text, page.parent) == text


def test_a_subject_is_left_out_of_sizes_it_is_too_slow_for() -> None:
    found = measure(
        [(10, 10), (1000, 1000)], ["nobody", "nobody-else"],
        mode="receiver", source="memory", runs=1, told=lambda _: None, largest={"nobody": 10},
    )  # fmt: skip
    assert [(one.subject, one.case["size_a"]) for one in found] == [
        ("nobody", 10), ("nobody-else", 10), ("nobody-else", 1000),
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.netns
@netns[1]
def test_a_race_over_a_cable_takes_the_time_of_its_bytes() -> None:
    (found,) = measure(
        [(500, 500)], ["ours-vole"],
        mode="receiver", source="memory", runs=1, told=lambda _: None, networks=["20mbit"],
    )  # fmt: skip
    assert found.error == ""
    assert found.network == "20 Mb/s"
    # most bytes go one way; a first burst of 128 KB is free
    alone = 8 * (found.metrics["wire_bytes"] - 2**18) / 20e6
    assert found.metrics["wall_s"] > 0.8 * alone
