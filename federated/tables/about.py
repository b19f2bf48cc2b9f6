"""What its owner says of a table in `tables.toml`: whom it is about, and what class of data it is.

    [bureau.repayment]
    path = "repayment.csv"
    data_class = "bureau"                      # or by column: { overdue_12m = "bureau" }

    [registry.companies]
    path = "companies.csv"
    entity = "company"                         # no natural persons: no basis is needed for them
    synthetic = true                           # its rows are made up: reports say so

All are the owner's word. What a proposer says of a job does not change them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from psi.protocol import JobError

__all__ = ["ABOUT_KEYS", "DATA_CLASSES", "EVERY", "About", "read_about", "unmarked"]

DATA_CLASSES = ("bureau", "sensitive")
"""Credit-reporting data; and what the law calls sensitive: health, beliefs, biometrics, minors."""
ABOUT_KEYS = ("entity", "data_class", "synthetic")
EVERY = "*"
_ENTITIES = ("consumer", "company", "government")
_LIKE_BUREAU = (
    "overdue", "credit_score", "creditscore", "open_loans", "inquiries", "delinquen", "arrears",
    "default", "past_due", "fico", "逾期", "征信", "信用分", "贷款笔数", "不良",
)  # fmt: skip


@dataclass(frozen=True)
class About:
    """`entity`: whom the table is about, "" where nothing is said. `classes`: of columns' data, by
    column; "*" stands for the whole table, its keys too: being in it says something already.
    `synthetic`: its rows are made up."""

    entity: str = ""
    classes: Mapping[str, str] = field(default_factory=dict)
    synthetic: bool = False

    def data_classes(self, columns: Iterable[str]) -> tuple[str, ...]:
        """The classes of data that a job has which uses these columns, in order, each once."""
        found = {self.classes.get(column, "") for column in columns}
        return tuple(sorted((found | {self.classes.get(EVERY, "")}) - {""}))

    @property
    def persons(self) -> bool:
        """Whether natural persons are concerned: unless the owner says otherwise, they are."""
        return self.entity in ("", "consumer")


def read_about(where: str, entity: object, data_class: object, synthetic: object = None) -> About:
    """These keys of a section of `tables.toml`, None where one is left out.

    Raises:
        JobError: names the key, what was found and what is allowed.
    """
    if entity is not None and entity not in _ENTITIES:
        raise JobError(f"{where} entity: {entity!r} found, {' or '.join(_ENTITIES)} allowed")
    given = {EVERY: data_class} if isinstance(data_class, str) else data_class
    if given is None:
        given = {}
    if not isinstance(given, dict):
        raise JobError(f"{where} data_class: a text, or a table of column = text, is needed")
    for column, name in given.items():
        if name not in DATA_CLASSES:
            key = "data_class" if column == EVERY else f"data_class.{column}"
            raise JobError(f"{where} {key}: {name!r} found, {' or '.join(DATA_CLASSES)} allowed")
    if synthetic is not None and not isinstance(synthetic, bool):
        raise JobError(f"{where} synthetic: {synthetic!r} found, true or false allowed")
    return About(str(entity or ""), dict(given), bool(synthetic))


def unmarked(about: About, columns: Iterable[str]) -> list[str]:
    """Columns that are called as credit-reporting data are, of a table without a word on it."""
    if about.classes:
        return []
    return [c for c in columns if any(word in c.casefold() for word in _LIKE_BUREAU)]
