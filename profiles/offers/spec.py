"""One `[[offer]]` of a job file: what it costs, what it is worth, and who may have it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from federated.toml_sections import TomlSection

__all__ = ["CHOOSE", "OfferSpec", "read_offer"]

CHOOSE = ("rule", "value")
"""The first offer whose tier holds; or what brings most in all under the list's caps."""
_MOST = 1e12


@dataclass(frozen=True, kw_only=True)
class OfferSpec:
    """An offer, called `name`, of some `lists`, or of all where it names none.

    It is made by `channel`, and costs `cost` and `share` of the sum of the columns `cost_of`; who
    takes it is worth `value` and the sum of the columns `value_of`, in one currency and span of
    time. It is for those whose `column` is `least` or more, and below `below`. `uplift` is what
    being offered it changes, as a share of people, where a control group has shown it.
    """

    name: str
    lists: tuple[str, ...] = ()
    channel: str = ""
    cost: float = 0.0
    cost_of: tuple[str, ...] = ()
    share: float = 1.0
    value: float = 0.0
    value_of: tuple[str, ...] = ()
    column: str = ""
    least: float | None = None
    below: float | None = None
    uplift: float | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The receiver's columns that it looks at."""
        named = (*self.cost_of, *self.value_of, self.column)
        return tuple(dict.fromkeys(name for name in named if name))

    def of(self, product: str) -> bool:
        """Whether a list has it."""
        return not self.lists or product in self.lists


def read_offer(section: TomlSection, products: Sequence[str]) -> OfferSpec:
    """One section; raises `JobError` naming the key.

    Args:
        section: as it was parsed.
        products: those of the job's lists.
    """
    name = section.text("name")
    if not products:
        raise section.fail("name", name, "an offer with a [[target]] section")
    found = OfferSpec(
        name=name,
        lists=section.names("lists", (), products),
        channel=section.text("channel", ""),
        cost=section.number("cost", 0.0, 0.0, _MOST),
        cost_of=section.texts("cost_of", []),
        share=section.number("share", 1.0, 0.0, 1.0),
        value=section.number("value", 0.0, 0.0, _MOST),
        value_of=section.texts("value_of", []),
        column=section.text("column", ""),
        least=section.bound("from", -_MOST, _MOST),
        below=section.bound("below", -_MOST, _MOST),
        uplift=section.bound("uplift", -1.0, 1.0),
    )
    section.done()
    if bool(found.column) != ((found.least, found.below) != (None, None)):
        raise section.fail("column", found.column, "a column with from or below, or none of them")
    return found
