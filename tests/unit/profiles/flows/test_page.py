"""The page on a bank's money: what it says, in both languages, and that it needs nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from profiles.flows.sankey import sankey
from tests.unit.profiles.flows.test_commands import MONEY, bank, said

MORE = "".join(f"x{i},Z{i},2024-02-0{1 + i},1,D,CNY,qwzzz<b>\n" for i in range(5))


@pytest.mark.parametrize(("lang", "pay", "left"), [("en", "Salary", "60"), ("zh", "工资", "60")])
def test_the_page_says_what_leaks_what_stopped_and_what_has_no_type(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], lang: str, pay: str, left: str
) -> None:
    zero = "y,A,2024-02-01,0,D,CNY,x\n"
    file, page = bank(tmp_path, MONEY + MORE + zero), tmp_path / "page.html"
    said(
        capsys, "flows", "report", "--tables", file, "--out", str(page), "--lang", lang,
        "--as-of", "2024-05-01", "--days", "3",
    )  # fmt: skip
    text = page.read_text("utf-8")
    assert page.stat().st_mode & 0o077 == 0
    assert "<script" not in text
    assert "http" not in re.sub("http-equiv", "", text)
    rows = [re.sub("<[^>]*>", " ", row).split() for row in re.findall("<tr>.*?</tr>", text)]
    assert any(pay in row and left in row and "20%" in row for row in rows)  # 60 of 300
    assert any(row[0] == pay and row[1:4] == ["1", "100", "0"] for row in rows)
    assert 'class="wide picture"' in text  # what its style makes wide enough to read
    assert "qwzzz&lt;b&gt;" in text
    assert ("1 of 11 rows are left out" if lang == "en" else "11 行中有 1 行无法读取") in text
    assert ("made on " if lang == "en" else "生成于") in text
    assert ("Transactions of 2024-01-10 to" if lang == "en" else "交易期间 2024-01-10 至") in text
    assert ("As of 2024-05-01." if lang == "en" else "截至 2024-05-01。") in text
    assert ("10 transactions" if lang == "en" else "共 10 笔") in text


def test_a_picture_has_a_ribbon_a_pair_and_bars_of_one_scale() -> None:
    sums = {("C", "outside"): 300, ("outside", "C"): 100, ("C", "x<"): 0}
    text = str(sankey(sums, "a<b", lambda place: f"<{place}>", str))
    assert text.count("<path") == 2
    heights = [float(h) for h in re.findall(r'class="place"[^>]*height="([\d.]+)"', text)]
    assert heights[0] == pytest.approx(3 * heights[1], rel=0.01)
    assert "<C>" not in text
    assert 'aria-label="a&lt;b"' in text
    assert sankey({}, "", str, str) == ""
