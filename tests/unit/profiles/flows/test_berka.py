"""A real bank's transactions without its symbols: rules of even accounts, judged on odd ones."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest

from profiles.flows.flows import Flows

DATA = os.environ.get("FEDPROFILE_DATA", "")
EXAMPLE = Path(__file__).parents[4] / "examples" / "flows"
SYMBOLS = {
    "UROK": "C.interest", "SLUZBY": "C.fee", "DUCHOD": "C.pension", "UVER": "C.loan_repaid",
    "POJISTNE": "C.insurance", "SIPO": "C.household",
}  # fmt: skip
BARS = {"C.insurance": 0.90, "C.household": 0.90}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.data,
    pytest.mark.skipif(not DATA, reason="needs FEDPROFILE_DATA"),
]


def test_types_of_a_real_bank_and_every_total(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    berka = Path(DATA) / "berka"
    given = pd.read_csv(
        berka / "transactions_1993_94_all_accounts.csv.gz", sep=";", dtype=str,
        keep_default_na=False,
    )  # fmt: skip
    given.drop(columns="k_symbol").to_csv(tmp_path / "transactions.csv", index=False)
    clients = pd.read_csv(berka / "client.csv", dtype=str)
    owners = pd.read_csv(berka / "disp.csv", dtype=str).query("type == 'O'")
    owners.merge(clients, on="client_id")[["account_id", "client_id", "birth_date"]].to_csv(
        tmp_path / "accounts.csv", index=False
    )
    monkeypatch.setenv("BERKA_MADE", str(tmp_path))
    typed = Flows.load(EXAMPLE / "tables.toml").typed()
    found = typed.select("id", "way", "minor", "type").to_pandas()
    both = given.rename(columns={"type": "side"}).merge(found, left_on="trans_id", right_on="id")
    assert len(both) == len(given) == 49_102
    cents = (given.amount.astype(float) * 100).round().astype("int64")
    for side, way in (("PRIJEM", "in"), ("VYDAJ|VYBER", "out")):
        wanted = cents[given.type.str.fullmatch(side)].sum()
        assert both[both.way == way].minor.sum() == wanted
    odd = both[both.account_id.astype(int) % 2 == 1]
    truth = odd.k_symbol.str.strip().map(SYMBOLS).fillna("")
    for code in SYMBOLS.values():
        right = ((truth == code) & (odd.type == code)).sum()
        assert right / (truth == code).sum() >= BARS.get(code, 0.95), f"recall of {code}"
        assert right / (odd.type == code).sum() >= BARS.get(code, 0.95), f"precision of {code}"
