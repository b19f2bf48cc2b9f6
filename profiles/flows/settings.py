"""`[flows.NAME]` of a `tables.toml`: which of a bank's own columns say what of a transaction.

    [flows.retail]
    currency = "CNY"
    zone = "Asia/Shanghai"

    [flows.retail.accounts]
    table = "bank.accounts"
    account = "acct_no"
    entity = "cust_no"
    kind = { is = "C" }

    [[flows.retail.source]]
    table = "bank.transfers"
    id = "serial"
    account = "acct_no"
    time = "booked"
    amount = "amount"
    direction = "dc"
    in = ["C"]
    out = ["D"]

Signs, codes and encodings are declared here; nothing is coded. `docs/FLOWS.md` lists the keys.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from federated.tables.bindings import Table, table_of
from federated.toml_sections import TomlSection, load_toml
from profiles.flows.currencies import DIGITS
from psi.protocol.errors import JobError

__all__ = [
    "FIELDS",
    "KINDS",
    "PRODUCTS",
    "Bound",
    "FlowSettings",
    "Source",
    "Terms",
    "load_settings",
]

KINDS = ("C", "B", "G")
"""Consumers, companies (B) and government bodies."""
NEEDED = ("id", "account", "time", "amount")
FIELDS = (
    *NEEDED,
    "direction",
    "currency",
    "counterparty_account",
    "counterparty_name",
    "counterparty_bank",
    "counterparty_kind",
    "channel",
    "code",
    "merchant_code",
    "text",
)
"""What is known of a transaction, each a column of the bank's or one value for all rows."""
_JOINED = ("id", "code", "channel", "text", "name")
"""What may be several columns."""
_ACCOUNTS = ("account", "entity", "kind", "name", "branch", "opened", "closed", "died", "born")
_ORDERS = ("account", "amount", "counterparty_account", "category", "since")
_BALANCES = ("account", "day", "amount", "product")
PRODUCTS = ("deposit", "wealth", "loan")
"""What a balance is of: what the bank owes on demand or at a term, what it keeps, what it lent."""
_RATES = ("currency", "rate", "since")
_CODE, _CODES = "[A-Z]{3}", "three capital letters such as CNY (ISO 4217)"
_SHARES = ("fee", "scheme", "deposit", "wealth", "loan")


@dataclass(frozen=True, kw_only=True)
class Bound:
    """A table's columns by what they mean.

    `fixed` holds what is one value for all rows, `joined` what is several columns with / between.
    """

    where: str
    table: str
    columns: Mapping[str, str]
    fixed: Mapping[str, str] = field(default_factory=dict)
    joined: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """All columns that are read."""
        return [*self.columns.values(), *(c for several in self.joined.values() for c in several)]


@dataclass(frozen=True, kw_only=True)
class Source(Bound):
    """One table of transactions.

    `inward`, `outward` are the codes of direction; without a direction column the sign of the
    amount says it, and `positive` which way a positive one goes. `negative` says what an amount
    below zero is where there is a direction: "refuse" (counted), or "reverse" (the other way);
    `blank_currency` what no currency is: "own" (the flow's, counted), or "refuse".
    """

    inward: tuple[str, ...] = ()
    outward: tuple[str, ...] = ()
    positive: str = "in"
    negative: str = "refuse"
    blank_currency: str = "own"
    decimal: str = "."
    thousands: str = ""
    minor: bool = False
    dates: str = "yyyy-mm-dd"
    stored_zone: str = ""


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What a customer brings, for `contribution`: shares of 1, and the totals' currency.

    `fee` and `scheme` of what a merchant takes by card, `terminal` a month in which it took any,
    `deposit`, `wealth` and `loan` a year, of the mean daily balance.
    """

    fee: float = 0.0
    scheme: float = 0.0
    terminal: float = 0.0
    deposit: float = 0.0
    wealth: float = 0.0
    loan: float = 0.0


@dataclass(frozen=True, kw_only=True)
class FlowSettings:
    """One `[flows.NAME]`. `person_links`: whether links of natural persons may be told;
    `currencies`: codes by what the bank's tables write for them."""

    name: str
    file: Path
    currency: str
    zone: str
    sources: tuple[Source, ...]
    accounts: Bound | None = None
    account_kinds: Mapping[str, str] = field(default_factory=dict)
    orders: Bound | None = None
    rates: Bound | None = None
    balances: Bound | None = None
    balance_products: Mapping[str, str] = field(default_factory=dict)
    terms: Terms | None = None
    taxonomy: tuple[Path, ...] = ()
    person_links: bool = False
    currencies: Mapping[str, str] = field(default_factory=dict)

    @property
    def where(self) -> str:
        """For errors."""
        return f"{self.file.name}: [flows.{self.name}]"

    @property
    def digits(self) -> int:
        """Decimal digits of the currency in which totals are told."""
        return DIGITS.get(self.currency, 2)


def load_settings(path: str | Path) -> tuple[dict[str, Table], dict[str, FlowSettings]]:
    """The tables and the flows of a tables file; no data is opened.

    Raises:
        JobError: names the file, the key, what was found and what is allowed.
    """
    file = Path(path)
    data = load_toml(file)
    flows = data.pop("flows", {})
    if not isinstance(flows, dict) or not flows:
        raise JobError(f"{file.name}: no flows", hint="write a [flows.NAME] section")
    tables: dict[str, Table] = {}
    for party, entries in data.items():
        if not isinstance(entries, dict):
            raise JobError(f"{file.name}: found {party}, allowed: [party.table] sections")
        for name, entry in entries.items():
            if not isinstance(entry, dict):
                raise JobError(f"{file.name}: found [{party}], allowed: [party.table] sections")
            tables[f"{party}.{name}"] = table_of(f"{party}.{name}", entry, file)
    found = {}
    for name, entry in flows.items():
        section = TomlSection(file.name, f"[flows.{name}]", entry, within=f"flows.{name}.")
        found[name] = _flow(name, file, section, tables)
    return tables, found


def _flow(name: str, file: Path, section: TomlSection, tables: Mapping[str, Any]) -> FlowSettings:
    currency = section.text("currency", "CNY")
    if not re.fullmatch(_CODE, currency):
        raise section.fail("currency", currency, _CODES)
    currencies = section.renames("currencies")
    for said, code in currencies.items():
        if not re.fullmatch(_CODE, code):
            raise section.fail(f"currencies.{said}", code, _CODES)
    zone = _zone(section, "zone", section.text("zone", "Asia/Shanghai"))
    person_links = section.flag("person_links", False)
    taxonomy = tuple(file.parent / path for path in section.texts("taxonomy", []))
    accounts, kinds = None, {}
    given = section.table("accounts")
    if given is not None:
        kinds = given.mapping("kinds", KINDS)
        accounts = _bound(file, f"[flows.{name}.accounts]", given, _ACCOUNTS, tables, ("account",))
        fixed = accounts.fixed.get("kind", "C")
        if fixed not in KINDS:
            raise JobError(f"{accounts.where} kind: {fixed!r} found, C or B or G allowed")
    beside = {
        key: _bound(file, f"[flows.{name}.{key}]", one, fields, tables, fields[:2])
        for key, fields in (("orders", _ORDERS), ("rates", _RATES))
        if (one := section.table(key)) is not None
    }
    balances, products = None, {}
    given = section.table("balances")
    if given is not None:
        products = given.mapping("products", PRODUCTS)
        where = f"[flows.{name}.balances]"
        balances = _bound(file, where, given, _BALANCES, tables, ("account", "day", "amount"))
        fixed = balances.fixed.get("product", "deposit")
        if fixed not in PRODUCTS:
            raise JobError(
                f"{balances.where} product: {fixed!r} found, {_either(PRODUCTS)} allowed"
            )
    terms = section.table("contribution")
    sources = [_source(file, one, tables, zone) for one in section.tables("source")]
    section.done()
    if not sources:
        raise JobError(f"{file.name}: [flows.{name}]: write a [[flows.{name}.source]]")
    return FlowSettings(
        name=name,
        file=file,
        currency=currency,
        zone=zone,
        person_links=person_links,
        currencies=currencies,
        sources=tuple(sources),
        accounts=accounts,
        account_kinds=kinds,
        orders=beside.get("orders"),
        rates=beside.get("rates"),
        balances=balances,
        balance_products=products,
        terms=None if terms is None else _terms(terms),
        taxonomy=taxonomy,
    )


def _terms(section: TomlSection) -> Terms:
    found = Terms(
        **{one: section.number(one, 0.0, 0.0, 1.0) for one in _SHARES},
        terminal=section.number("terminal", 0.0, 0.0, 1e6),
    )
    section.done()
    return found


def _either(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


def _source(file: Path, section: TomlSection, tables: Mapping[str, Any], zone: str) -> Source:
    name = section.name
    inward, outward = section.texts("in", []), section.texts("out", [])
    positive = section.text("positive", "in", ("in", "out"))
    negative = section.text("negative", "refuse", ("refuse", "reverse"))
    blank_currency = section.text("blank_currency", "own", ("own", "refuse"))
    decimal = section.text("decimal", ".", (".", ","))
    thousands = section.text("thousands", "", ("", ",", ".", " ", "'", "_"))
    minor = section.flag("minor", False)
    dates = section.text("dates", "yyyy-mm-dd")
    stored = _zone(section, "stored_zone", section.text("stored_zone", zone))
    for mark in ("yy", "mm", "dd"):
        if mark not in dates:
            raise JobError(
                f"{file.name}: {name} dates: {dates!r} found, yyyy (or yy), mm and dd in it allowed"
            )
    bound = _bound(file, name, section, FIELDS, tables, NEEDED)
    has_way = "direction" in bound.columns or "direction" in bound.fixed
    if has_way and not (inward or outward):
        raise JobError(
            f"{bound.where} in, out: missing, the codes of direction are needed",
            hint='in = ["C"], out = ["D"]',
        )
    if both := sorted(set(inward) & set(outward)):
        raise JobError(f"{bound.where} in, out: {both[0]!r} found in both, in one allowed")
    if decimal == thousands:
        raise JobError(f"{bound.where} decimal, thousands: both are {decimal!r}, two marks needed")
    return Source(
        where=bound.where, table=bound.table, columns=bound.columns, fixed=bound.fixed,
        joined=bound.joined,
        inward=inward, outward=outward, positive=positive, negative=negative,
        blank_currency=blank_currency, decimal=decimal, thousands=thousands, minor=minor,
        dates=dates, stored_zone=stored,
    )  # fmt: skip


def _zone(section: TomlSection, key: str, name: str) -> str:
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        raise section.fail(key, name, "a zone such as Asia/Shanghai or UTC") from None
    return name


def _bound(
    file: Path,
    name: str,
    section: TomlSection,
    fields: tuple[str, ...],
    tables: Mapping[str, Any],
    needed: tuple[str, ...],
) -> Bound:
    where, columns, fixed = f"{file.name}: {name}", dict[str, str](), dict[str, str]()
    joined: dict[str, tuple[str, ...]] = {}
    table = section.text("table")
    if table not in tables:
        raise section.fail("table", table, " or ".join(tables) or "a [party.table] section")
    for key in fields:
        if not section.has(key):
            section.text(key, "")
            continue
        value = section._data[key]
        if isinstance(value, dict):
            given = section.renames(key)
            fixed[key] = given.get("is", "")
            if list(given) != ["is"]:
                raise section.fail(key, "such a table", '"COLUMN" or { is = "VALUE" }')
        elif isinstance(value, list) and key in _JOINED:
            joined[key] = section.texts(key)
        else:
            columns[key] = section.text(key)
    section.done()
    for key in needed:
        if key not in {*columns, *joined} and (
            key in ("id", "time", "day", "amount") or key not in fixed
        ):
            raise JobError(f"{where} {key}: missing, the name of a column is needed")
    return Bound(where=where, table=table, columns=columns, fixed=fixed, joined=joined)
