"""Nothing unseen survives `plain`; nothing that a spreadsheet would run survives `csv_safe`."""

from __future__ import annotations

import unicodedata

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from federated.text import csv_safe, csv_safe_column, plain, plain_column, slug
from profiles.cli import main

ANY = st.text(st.characters(), max_size=60)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Open Loans", "Open Loans"),
        ("  two\n lines\t", "two lines"),
        ("a\x1b[31mred\x1b[0m", "ared"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;https://x\x1b\\link", "link"),
        ("\x9b2Jcleared", "cleared"),
        ("pay\u202etxt.exe", "paytxt.exe"),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("nul\x00 del\x7f", "nul del"),
        ("filler\u3164", "filler"),
        ("lone \ud800", "lone ?"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("e\u0301", "é"),
        ("Z" + "\u0301" * 40, "Ź\u0301\u0301\u0301"),
        ("王小明 ５", "王小明 ５"),
        ("", ""),
    ],
)
def test_plain(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_a_text_that_needs_no_pattern_is_what_the_patterns_leave() -> None:
    """Every character of the first plane that is seen and no mark, between two letters."""
    seen = (chr(code) for code in range(0x20, 0x10000) if chr(code).isprintable())
    texts = [f"a{one}b" for one in seen if not unicodedata.category(one).startswith("M")]
    assert [plain(text) for text in texts] == plain_column(pa.array(texts)).to_pylist()


def test_plain_is_short() -> None:
    assert plain("x" * 500) == "x" * 199 + "…"
    assert plain("long enough", limit=5) == "long…"
    assert plain("x" * 200) == "x" * 200


@settings(max_examples=200, deadline=None)
@given(ANY)
@example("0\r\x08 0")
def test_plain_leaves_only_what_is_seen(text: str) -> None:
    shown = plain(text)
    assert not {unicodedata.category(c) for c in shown} & {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
    assert shown == shown.strip()
    assert "  " not in shown
    assert plain(shown) == shown


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'=1"),
        ("\r=1", "'=1"),
        ("\tword", "'word"),
        ("\u200b=1", "'=1"),
        (" =1", "'=1"),
        ("＝1", "'＝1"),
        ("a=1", "a=1"),
        ("ordinary", "ordinary"),
        ("", ""),
    ],
)
def test_csv_safe(text: str, cell: str) -> None:
    assert csv_safe(text) == cell


@settings(max_examples=200, deadline=None)
@given(ANY)
def test_no_cell_starts_a_formula(text: str) -> None:
    assert csv_safe(text)[:1] not in set("=+-@\t\r\n")


def test_columns_keep_nulls() -> None:
    column = pa.chunked_array([["=a", None], ["b\x00"]])
    assert csv_safe_column(column).to_pylist() == ["'=a", None, "b"]
    assert plain_column(column).to_pylist() == ["=a", None, "b"]


def test_slug() -> None:
    assert slug("Term deposit!") == "term_deposit"
    assert slug("流失 2") == "流失_2"
    assert slug("../..\x00") == "unnamed"


def test_errors_on_the_terminal_hold_no_sequences_of_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """They may name what another party sent, or a file."""
    words = ["preflight", "no\x1b[2Jsuch\u202e.toml", "--tables", "t.toml"]
    monkeypatch.setattr("sys.argv", ["fedprofile", *words])
    with pytest.raises(SystemExit):
        main()
    told = capsys.readouterr().err
    assert "error: " in told
    assert "\x1b" not in told
    assert "\u202e" not in told
