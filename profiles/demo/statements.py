"""Transactions as a core system keeps them, without types, and what they really are.

Texts are cut, in full width, in pinyin, with numbers around them; behind a wallet the shop stands
only in the text; a tenth says nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from profiles.demo.texts import AGENCIES, LINES, NOTHING, PINYIN, WALLETS, partners

__all__ = ["statements"]

FINE = {
    # of what the demo's year draws: what it may be, more closely
    ("C", "salary"): "C.bonus C.travel_expenses_back C.royalty C.insurance_claim",
    ("C", "transfer in"): "C.transfer_in C.transfer_in C.transfer_in C.purchase_refund C.wallet_in "
    "C.interest C.wealth_redeemed C.cash_in C.gift_received C.own_elsewhere_in",
    ("C", "shopping"): "C.groceries C.groceries C.groceries C.dining C.dining C.dining "
    "C.online_shopping C.online_shopping C.pharmacy C.clothing C.health C.card_purchase "
    "C.card_purchase C.beauty C.entertainment C.electronics",
    ("C", "utilities"): "C.parking_toll C.public_fee C.social_insurance",
    ("C", "rent or mortgage"): "C.education C.renovation C.card_repaid C.card_repaid",
    ("C", "travel"): "C.taxi C.taxi C.public_transport C.public_transport C.fuel C.hotel C.airline",
    ("C", "cash"): "C.cash_out",
    ("C", "wealth product elsewhere"): "C.wealth_elsewhere C.securities_out",
    ("C", "own account elsewhere"): "C.own_elsewhere_out C.own_elsewhere_out C.wallet_out",
    ("C", "insurance"): "C.insurance",
    ("C", "transfer out"): "C.transfer_out C.transfer_out C.gift_given C.wealth_bought "
    "C.deposit_made",
    ("B", "sales"): "B.sales B.sales B.services_sold B.card_takings B.project_payment",
    ("B", "loan drawn"): "B.loan_drawn",
    ("B", "suppliers"): "B.supplier B.supplier B.services_bought B.freight B.advertising "
    "B.equipment",
    ("B", "payroll"): "B.staff_expenses B.agency_staff B.staff_insurance",
    ("B", "tax"): "B.vat B.income_tax",
    ("B", "rent"): "B.rent_paid B.utilities",
    ("B", "own account elsewhere"): "B.own_out",
    ("B", "fees"): "B.fee",
    ("G", "grant"): "G.budget_grant G.special_funds_in",
    ("G", "fees collected"): "G.fees_collected G.fees_collected G.fines_collected "
    "G.rent_received G.taxes_collected",
    ("G", "payroll"): "G.staff_insurance",
    ("G", "procurement"): "G.procurement G.services_bought G.benefits_paid",
    ("G", "construction"): "G.construction",
    ("G", "utilities"): "G.utilities",
    ("G", "own account elsewhere"): "G.own_out",
}
PERSONS = {"C.transfer_in", "C.transfer_out", "C.gift_received", "C.gift_given", "C.rent_paid"}
FIRMS = {
    "B.sales", "B.services_sold", "B.project_payment", "B.supplier", "B.services_bought",
    "B.freight", "B.advertising", "B.equipment", "B.rent_paid", "G.procurement",
    "G.services_bought", "G.construction", "G.rent_received", "B.agency_staff", "C.insurance",
    "B.utilities", "G.utilities", "B.card_takings", "B.staff_insurance",
}  # fmt: skip
_SILENT, _SILENT_SERIES, _CUT = 0.12, 0.04, 14
_WAYS = (0.5, 0.1, 0.12, 0.08, 0.08, 0.06, 0.06)
"""Plain; full width; a number after, before; a branch or a mark; a channel's mark; pinyin."""


def statements(
    rng: np.random.Generator, moves: pd.DataFrame, owners: Mapping[int, str], people: list[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The table and the truth: serial and type, "" where nobody could say.

    Args:
        moves: account, kind (C, B, G), day, type, amount; of what comes monthly also code, payer,
            payer_account, series.
        owners: the name of an account's owner.
        people: names of persons elsewhere.
    """
    count = len(moves)
    code = moves.code.fillna("").to_numpy(object)
    for (kind, drawn), fine in FINE.items():
        rows = np.flatnonzero((code == "") & (moves.kind == kind) & (moves.type == drawn))
        code[rows] = rng.choice(fine.split(), len(rows))
    series = moves.series.fillna(-1).to_numpy(np.int64)
    draw = np.where(series >= 0, rng.random(int(series.max()) + 2)[series], rng.random(count))
    line = _lines(code, draw)
    silent = rng.random(count) < np.where(moves.series.notna(), _SILENT_SERIES, _SILENT)
    agency = moves.payer.isin(AGENCIES).to_numpy() & (rng.random(count) < 0.3)
    line[agency] = "代付"
    other = _others(draw, moves, code, line, owners, people)
    text = _messy(rng, line)
    text[silent] = rng.choice(np.array(NOTHING, object), int(silent.sum()))
    # what a wallet or nobody brought is known by the text alone
    named = silent & (moves.payer.fillna("") == "").to_numpy()
    other[named] = np.where(
        np.char.startswith(text[named].astype(str), "支"), WALLETS["支付宝"], ""
    )
    second = rng.integers(8 * 3600, 22 * 3600, count)
    frame = pd.DataFrame(
        {
            "account": moves.account.astype(str),
            "time": moves.day.astype("datetime64[s]") + pd.to_timedelta(second, unit="s"),
            "direction": np.where(moves.amount > 0, "贷", "借"),
            "amount": moves.amount.abs(),
            "counterparty": other,
            "counterparty_account": moves.payer_account.fillna(""),
            "remark": text,
            "type": np.where(silent, "", code),
        }
    )
    frame = frame[frame.amount > 0].sort_values(["time", "account"], kind="stable")
    frame.insert(0, "serial", [f"T{row:07d}" for row in range(len(frame))])
    truth = frame[["serial", "type"]].rename(columns={"serial": "id"})
    return frame.drop(columns="type").reset_index(drop=True), truth.reset_index(drop=True)


def _lines(code: np.ndarray, draw: np.ndarray) -> np.ndarray:
    """A way of saying each row's type, by a number from 0 to 1."""
    line = np.empty(len(code), object)
    for one in np.unique(code.astype(str)):
        rows = np.flatnonzero(code == one)
        said = np.array(LINES[one], object)
        line[rows] = said[(draw[rows] * len(said)).astype(int)]
    return line


def _others(
    draw: np.ndarray,
    moves: pd.DataFrame,
    code: np.ndarray,
    line: np.ndarray,
    owners: Mapping[int, str],
    people: list[str],
) -> np.ndarray:
    """Who stands on the other side, as far as the bank was told; by the same numbers."""
    other = moves.payer.fillna("").to_numpy(object)
    wallet = {said: name for said in set(line) for mark, name in WALLETS.items() if mark in said}
    for rows, choice in (
        (np.isin(code, list(PERSONS)), people),
        (np.isin(code, list(FIRMS)), partners()),
    ):
        other[rows] = np.array(choice, object)[(draw[rows] * 1e6).astype(int) % len(choice)]
    own = np.array(["own_" in one for one in code.tolist()])
    other[own] = [owners[account] for account in moves.account.to_numpy()[own]]
    behind = np.array([one in wallet for one in line.tolist()])
    other[behind] = [wallet[one] for one in line[behind].tolist()]
    return other


def _messy(rng: np.random.Generator, line: np.ndarray) -> np.ndarray:
    """The lines as they are kept: each pair of line and way is written once."""
    way = rng.choice(len(_WAYS), len(line), p=_WAYS)
    number = rng.integers(0, 20, len(line))
    made: dict[tuple[str, int, int], str] = {}
    text = np.empty(len(line), object)
    for row, key in enumerate(zip(line.tolist(), way.tolist(), number.tolist(), strict=True)):
        if key not in made:
            made[key] = _written(*key)
        text[row] = made[key]
    return text


def _written(line: str, way: int, number: int) -> str:
    if way == 1:
        line = "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in line)
    elif way == 2:
        line = f"{line}{70413 + 977 * number}"
    elif way == 3:
        line = f"{1000 + 37 * number} {line}"
    elif way == 4:
        line = (
            f"{line}({('武侯', '洪山', '雁塔', '渝中')[number % 4]}店)"
            if "-" in line
            else f"{line}/"
        )
    elif way == 5:
        line = f"{('UPP', '超网', 'IBPS')[number % 3]} {line}"
    elif way == 6:
        line = PINYIN.get(line, line)
    return line[:_CUT]
