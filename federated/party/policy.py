"""What a party refuses whatever the proposer wants: floors, caps and column permissions."""

from __future__ import annotations

from dataclasses import dataclass

from federated.party.contract import Contract, PartyTerms
from federated.party.source import Source
from psi.protocol import Refused

__all__ = ["Policy"]


@dataclass(frozen=True)
class Policy:
    """A party's own limits; the defaults are the floors of this software.

    `unnoised_categories` lets others add their amounts up by this party's categories without
    noise; `largest_epsilon`, in thousandths, is the weakest noise allowed otherwise.
    """

    minimum_key_bits: int = 2048
    minimum_group: int = 3
    largest_set: int = 10**9
    unnoised_categories: bool = False
    largest_epsilon: int = 10_000
    reveals: tuple[str, ...] = ("both", "receiver", "cardinality")

    def approve(self, contract: Contract, me: PartyTerms, source: Source) -> None:
        """Raise `Refused` with the rule that says no."""
        for align in contract.align:
            if align.reveal not in self.reveals:
                allowed = " or ".join(self.reveals)
                raise Refused(f"reveal {align.reveal} asked, {allowed} allowed by policy")
            if align.largest_set > self.largest_set:
                raise Refused("the contract's largest set is above this party's policy")
        sizes = [terms.key_bits for terms in contract.aggregate]
        sizes += [terms.key_bits for terms in contract.join_sum]
        sizes += [terms.key_bits for terms in contract.category]
        sizes += [terms.key_bits for terms in contract.train]
        if min(sizes, default=self.minimum_key_bits) < self.minimum_key_bits:
            raise Refused(
                f"key of {min(sizes)} bits asked, at least {self.minimum_key_bits} allowed"
            )
        groups = [terms.minimum_group for terms in contract.aggregate]
        groups += [terms.minimum_group for terms in contract.join_sum]
        groups += [terms.minimum_group for terms in contract.category]
        if min(groups, default=self.minimum_group) < self.minimum_group:
            least = self.minimum_group
            raise Refused(f"groups of {min(groups)} asked, at least {least} allowed")
        self._check_noise(contract, me)
        self._check_vectors(contract, me)
        self._check_columns(me, source)

    def _check_noise(self, contract: Contract, me: PartyTerms) -> None:
        for terms in contract.category:
            if terms.partner != me.name:
                continue
            if not terms.epsilon and not self.unnoised_categories:
                raise Refused(
                    f"amounts by {terms.category!r} asked without noise, not allowed by policy",
                    hint="without it, chosen amounts tell which record is in which category",
                )
            if terms.epsilon > self.largest_epsilon:
                found, most = terms.epsilon / 1000, self.largest_epsilon / 1000
                raise Refused(f"epsilon {found:g} asked, at most {most:g} allowed by policy")

    def _check_vectors(self, contract: Contract, me: PartyTerms) -> None:
        for train in contract.train:
            if train.split == "vertical" and me.name in train.partners:
                total = sum(contract.party(name).design_columns for name in train.partners)
                if train.score_vectors >= total:
                    raise Refused(
                        f"{train.score_vectors} score vectors asked, fewer than the {total} "
                        "partner columns allowed"
                    )

    def _check_columns(self, me: PartyTerms, source: Source) -> None:
        uses = {"feature": me.features, "aggregate": me.measures}
        uses["label"] = (me.label,) if me.label else ()
        enough = {
            "feature": ("", "feature", "label"),
            "aggregate": ("", "aggregate", "feature", "label"),
            "label": ("", "label"),
        }
        for use, columns in uses.items():
            for column in columns:
                given = source.permission(me.table, column)
                if given not in enough[use]:
                    raise Refused(
                        f"column {column!r} of {me.table} asked as {use}, "
                        f"{given} allowed by its owner"
                    )
