"""Whether a party's own officers have released a model: by another than who had it trained.

    desk/MODEL.release.OFFICER   what the officer signed, written by his own command

Who had it trained is in the training's ledger: another party; or of this one the analyst who signed
for the job. Where nobody did, two officers have to release it. A release counts as long as its
officer is listed, to the day that he named, for the very part that is kept. No release is counted
that cannot be read.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from federated.approval.inbox import owned_json
from federated.contract.terms import Contract, PartyTerms
from federated.keys.officers import OfficerList
from federated.ledger.lines import read_ledger
from federated.scoring.model_file import ModelPart
from federated.scoring.release import Release, check_release, quality_of
from federated.scoring.store import ModelStore
from federated.store.files import write_atomic
from psi.protocol import Declined, FedprofileError, InputError, Refused

__all__ = ["Maker", "Standing", "Subject", "maker_of", "released_parts", "remove_releases"]
__all__ += ["standing", "write_release"]


@dataclass(frozen=True)
class Maker:
    """Who had a model trained: a `party`, and of this one a person by name and `key`, if he signed.

    Empty where nobody knows any more.
    """

    party: str = ""
    name: str = ""
    key: str = ""

    def needed(self, me: str) -> int:
        """How many officers of `me` release what this one made."""
        return 1 if self.key or self.party not in ("", me) else 2

    def words(self, me: str) -> str:
        """Who it was, for the party `me`."""
        if self.party not in ("", me):
            return self.party
        return self.name or "nobody who signed for it"


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is released: a party's part of a model by its hash, and the session that trained it.

    `quality` is what the part says of itself.
    """

    party: str
    model: str
    digest: str
    run: str
    quality: str

    @classmethod
    def of(cls, part: ModelPart) -> Subject:
        """A part that is kept here."""
        found = quality_of(part.card)
        return cls(party=part.party, model=part.id, digest=part.digest, run=part.run, quality=found)


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How a model stands: releases that count, one an officer, and why others do not."""

    me: str
    maker: Maker
    counting: tuple[Release, ...] = ()
    aside: tuple[str, ...] = ()

    @property
    def released(self) -> bool:
        """Whether rows may be scored by it where a policy asks for a release."""
        return len(self.counting) >= self.maker.needed(self.me)

    @property
    def words(self) -> str:
        """One line for the party's own eyes."""
        said = [_said(release) for release in self.counting]
        missing = self.maker.needed(self.me) - len(said)
        if missing > 0:
            by = f"trained by {self.maker.words(self.me)}"
            said.append(f"no: {by}, {missing} of {self.me}'s officers to release it")
        return "; ".join([*said, *self.aside])


def maker_of(home: Path, run: str, me: str) -> Maker:
    """Who had this party take part in a training, by the training's own ledger.

    Args:
        home: the party's folder.
        run: the training's session, hexadecimal.
        me: the party's name.
    """
    try:
        lines = read_ledger(home / "jobs" / run / "ledger.jsonl")
        body = next(line["body"] for line in lines if line["kind"] == "approved")
        asker = body.get("asker") or {}
        person = (str(asker["name"]), str(asker["key"])) if asker else ("", "")
        party = str(body["proposer"])
    except (FedprofileError, StopIteration, KeyError, TypeError, AttributeError):
        return Maker()  # then it takes two
    return Maker(party, *person) if party == me else Maker(party)


def standing(home: Path, of: Subject, listed: OfficerList | None, now: float) -> Standing:
    """How a model stands with the officers who are `listed` now. `home` is the party's folder."""
    maker = maker_of(home, of.run, of.party)
    counting, aside = dict[str, Release](), list[str]()
    for file in sorted((home / "desk").glob(f"{of.model}.release.*")):
        try:
            release = _read(file)
            if listed is None:
                raise Refused("no officer is listed")
            person = check_release(release, listed)
            if (release["model"], release["digest"]) != (of.model, of.digest):
                raise Refused("of another part of it")
            if release["quality"] != of.quality:  # a file that was doctored for the officer
                raise Refused("the quality looked at is not what the part says")
            if person.key == maker.key:
                raise Refused("who had it trained")
            if now >= release["until"]:
                raise Refused(f"ended on {_day(release['until'] - 1)}")
            counting[person.key] = release
        except FedprofileError as error:
            name = file.name.split(".release.", 1)[1]
            aside.append(f"the release by {name} does not count: {error.message}")
    return Standing(me=of.party, maker=maker, counting=tuple(counting.values()), aside=tuple(aside))


def released_parts(
    home: Path, contract: Contract, me: PartyTerms, listed: OfficerList | None, now: float
) -> tuple[Release, ...]:
    """The releases of all models by which a contract scores with this party.

    The proposer is told that one is missing, and nothing else. A model that is not kept here is
    refused by who looks for it.

    Raises:
        Declined: the party's officers have not released its part.
    """
    store, found = ModelStore(home / "models"), list[Release]()
    for terms in contract.score:
        if me.name not in (contract.receiver, *terms.partners) or not store.has(terms.model):
            continue
        part = _part(store, terms.model)
        state = standing(home, Subject.of(part), listed, now) if part else None
        if state is None or not state.released:
            raise Declined(
                f"model {terms.model} of '{terms.task}' is not released by {me.name}'s officers",
                hint="fedprofile model show says who has, fedprofile model release does it; "
                "policy: [models] released",
            )
        found += state.counting
    return tuple(found)


def write_release(home: Path, release: Release) -> Path:
    """Put a release on the desk, in place of what this officer has said of the model before."""
    file = home / "desk" / f"{release['model']}.release.{release['officer']}"
    write_atomic(file, json.dumps(release, ensure_ascii=False, indent=1) + "\n", private=False)
    return file


def remove_releases(home: Path, model: str) -> int:
    """Take all releases of a model off the desk; how many there were."""
    files = [*(home / "desk").glob(f"{model}.release.*")]
    for file in files:
        file.unlink(missing_ok=True)
    return len(files)


def _part(store: ModelStore, model: str) -> ModelPart | None:
    try:
        return store.read(model)
    except FedprofileError:
        return None


def _read(file: Path) -> Release:
    found = owned_json(file)
    if found is None:
        raise InputError(f"{file.name}: it has gone")
    return found[0]


def _said(release: Release) -> str:
    drift = f"drift {release['drift']}" if release["drift"] else ""
    looked = "; ".join(str(text) for text in (release["quality"], drift, release["note"]) if text)
    days = f"{_day(release['made'])}, until {_day(release['until'] - 1)}"
    return f"by {release['officer']}, {days}: {looked}"


def _day(seconds: object) -> str:
    return datetime.fromtimestamp(float(str(seconds)), UTC).strftime("%Y-%m-%d")
