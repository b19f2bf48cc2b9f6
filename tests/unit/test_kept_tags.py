from __future__ import annotations

import secrets
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from federated.contract.terms import AlignTerms, PartyTerms
from federated.keys.party_keys import Identity, PartyKeys
from federated.steps import kept_tags
from federated.steps.kept_tags import DAY, KeptTags
from psi.ecdh import Held, Items, Prepared, prepare
from psi.identifiers import key_buffer
from psi.protocol import EnvironmentFailed, InputError, Refused

BANK = PartyKeys.generate("bank").identity
TERMS = AlignTerms(
    partner="bureau",
    protocol="ecdh",
    reveal="both",
    minimum_overlap=0,
    minimum_checked_by="receiver",
    largest_set=10**6,
    duplicates="collapse",
    keep_tags_days=30,
    keep_tags_items=10,
)


def party(name: str, column: str = "id") -> PartyTerms:
    keys, kinds = ((column,),), (("text",),)
    return PartyTerms(
        name=name,
        organisation="00" * 32,
        sealing="00" * 32,
        table=f"{name}.people",
        keys=keys,
        kinds=kinds,
    )


def items(*values: str) -> Items:
    return Items(*key_buffer(pa.array(values)))


class World:
    def __init__(self, folder: Path | None) -> None:
        self.now, self.folder = 1e9, folder

    def kept(
        self, column: str = "id", terms: AlignTerms = TERMS, peer: Identity = BANK
    ) -> KeptTags:
        sender = party("bureau", column)
        clock = lambda: self.now  # noqa: E731
        return KeptTags(self.folder, peer, terms, sender, secrets.token_bytes, clock)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "tags")


def test_prepared_tags_outlive_the_process_until_items_or_time_change(world: World) -> None:
    first = world.kept().prepared(items("a", "b", "c"))
    again = world.kept().prepared(items("a", "b", "c"))
    assert again.name == first.name
    assert (again.tags == first.tags).all()
    assert world.kept().prepared(items("a", "c", "b")).name != first.name  # another order
    second = world.kept().prepared(items("a", "b"))
    world.now += 31 * DAY
    assert world.kept().prepared(items("a", "b")).name != second.name


def test_other_columns_and_peers_have_other_tags(world: World) -> None:
    same = items("a", "b")
    assert world.kept().prepared(same).name != world.kept("phone").prepared(same).name


def test_items_asked_are_counted_over_processes_and_for_one_key(world: World) -> None:
    kept = world.kept()
    kept.prepared(items("a"))
    kept.spend(6)
    restarted = world.kept()
    restarted.prepared(items("a"))
    with pytest.raises(Refused, match="11 items asked of one set of tags, 10 allowed"):
        restarted.spend(5)
    restarted.spend(4)
    changed = world.kept()
    changed.prepared(items("a", "b"))
    changed.spend(10)


def test_another_name_of_the_same_organisation_has_no_allowance_of_its_own(world: World) -> None:
    """It would ask as often as it finds names, for everybody in the sender's table."""
    kept = world.kept()
    name = kept.prepared(items("a")).name
    kept.spend(10)
    renamed = world.kept(peer=replace(BANK, name="subsidiary", sealing=b"s" * 32))
    assert renamed.prepared(items("a")).name == name  # one set: tags under two keys cannot meet
    with pytest.raises(Refused, match="11 items asked"):
        renamed.spend(1)
    other = world.kept(peer=PartyKeys.generate("bank").identity)
    other.prepared(items("a"))
    other.spend(10)


def test_what_is_asked_by_other_key_columns_adds_up(world: World) -> None:
    kept = world.kept()
    kept.prepared(items("a"))
    kept.spend(7)
    by_phone = world.kept("phone")
    by_phone.prepared(items("b"))
    by_phone.spend(3)
    with pytest.raises(Refused, match="11 items asked"):
        by_phone.spend(1)
    with pytest.raises(Refused, match="11 items asked"):
        kept.spend(1)
    world.now += 31 * DAY
    late = world.kept("phone")
    late.prepared(items("b"))
    late.spend(10)


def test_a_set_that_was_replaced_does_not_take_the_count_of_its_successor(world: World) -> None:
    """A job that began before the table changed ends after one that began later."""
    before, after, last = (world.kept() for _ in range(3))
    before.prepared(items("a"))
    after.prepared(items("a", "b"))
    after.spend(6)
    before.spend(6)
    last.prepared(items("a", "b"))
    with pytest.raises(Refused, match="12 items asked"):
        last.spend(6)


def test_jobs_that_begin_together_share_one_set(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each with a key of its own would have the whole number of items to ask."""

    def slow(*args: Any) -> Prepared:
        time.sleep(0.2)
        return prepare(*args)

    monkeypatch.setattr(kept_tags, "prepare", slow)
    with ThreadPoolExecutor(2) as pool:
        made = list(pool.map(lambda _: world.kept().prepared(items("a", "b")), range(2)))
    assert made[0].name == made[1].name


def test_held_tags_expire(world: World) -> None:
    held = Held(bytes(32), np.arange(6, dtype=np.uint64).reshape(3, 2))
    assert world.kept().held() is None
    world.kept().keep(held)
    found = world.kept().held()
    assert found is not None
    assert (found.tags == held.tags).all()
    world.now += 31 * DAY
    assert world.kept().held() is None


def test_files_are_sealed_and_private(world: World) -> None:
    kept = world.kept()
    kept.prepared(items("planted-identifier"))
    kept.spend(1)
    assert world.folder is not None
    files = [path for path in world.folder.iterdir() if not path.name.startswith(".")]
    assert len(files) == 3
    for path in files:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert b"planted" not in path.read_bytes()
    sealed = next(path for path in files if path.name.endswith(".prepared"))
    sealed.write_bytes(sealed.read_bytes()[:-1] + b"x")
    with pytest.raises(InputError, match="altered"):
        world.kept().prepared(items("planted-identifier"))
    (world.folder / "tags.key").chmod(0o644)
    with pytest.raises(EnvironmentFailed, match="can be read by others"):
        world.kept().held() or world.kept().prepared(items("a"))


def test_without_a_folder_nothing_is_kept() -> None:
    kept = World(None).kept(terms=replace(TERMS, keep_tags_items=2))
    assert kept.held() is None
    kept.prepared(items("a"))
    kept.spend(2)
    with pytest.raises(Refused):
        kept.spend(3)
