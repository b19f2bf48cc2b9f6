"""A report of a monthly job says which of the year's it is, and what is spent with it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from federated.contract.series import SeriesTerms, SeriesTold
from federated.contract.terms import Contract
from profiles.language import language
from profiles.series_report import series_metrics, series_notes
from tests.unit.test_kinds import CONTRACTS

MILLION = 1_000_000


def contract(terms: SeriesTerms, told: SeriesTold | None) -> Contract:
    whole = CONTRACTS["joined"]
    parties = tuple(
        replace(party, series=() if told is None or party.name == whole.receiver else (told,))
        for party in whole.parties
    )
    return replace(whole, series=(terms,), parties=parties)


def test_the_third_month_of_twelve_with_what_is_spent() -> None:
    terms = SeriesTerms(name="churn 2026", jobs=12, row_bits=2400, releases=240)
    told = SeriesTold(jobs=2, row_bits=30 * MILLION, epsilon=0, releases=4)
    asked = contract(terms, told)
    (note,) = series_notes(asked)
    assert note.startswith(
        "Series 'churn 2026': by bureau's count job 3 of 12 in 365 days, and with"
    )
    (party,) = series_metrics(asked)
    found = series_metrics(asked)[party]
    assert found["jobs"] == {"spent": 3, "total": 12}
    assert found["bits_of_a_row"]["spent"] > 30, "this job's are in it"
    assert found["bits_of_a_row"]["total"] == 240
    assert f"{found['bits_of_a_row']['spent']:g} of 240 bits of a row" in note
    assert "epsilon" not in note, "no total was agreed on"
    chinese = language("zh").told(note, "note")
    assert "第 3 个作业（共 12 个）" in chinese
    assert "共 240" in chinese
    assert "次披露" in chinese
    assert "of" not in chinese


@pytest.mark.parametrize("told", [None, SeriesTold()])
def test_without_totals_or_a_count(told: SeriesTold | None) -> None:
    asked = contract(SeriesTerms(name="churn 2026", jobs=12), told)
    notes = series_notes(asked)
    if told is None:
        assert notes == []
        assert series_metrics(asked) == {}
    else:
        assert [note.partition(": ")[2] for note in notes] == [
            "by bureau's count job 1 of 12 in 365 days."
        ]
        assert "第 1 个作业" in language("zh").told(notes[0], "note")
