from __future__ import annotations

import secrets
from dataclasses import replace

import pytest

from federated.contract.disclosures import check_disclosures, disclosures
from federated.contract.kinds.by_segment import BySegment
from federated.contract.release import planned
from federated.contract.summary import in_words
from federated.contract.terms import (
    VERSION,
    AggregateTerms,
    AlignTerms,
    AmountTerms,
    Contract,
    FeatureTerms,
    JoinSumTerms,
    Measure,
    OtherVersion,
    PartyTerms,
    Suites,
    TrainTerms,
    sign,
    suites_for,
    verify_signatures,
)
from federated.keys.party_keys import PartyKeys
from psi.align import PROTOCOLS
from psi.protocol import PeerError, Refused

KEYS = {name: PartyKeys.generate(name) for name in ("bank", "bureau", "registry")}
NOW = 1_800_000_000
VOLE = Suites(align=PROTOCOLS["vole-malicious"].suite, train="half-tree-regression-v6")


def terms(name: str, **changes: object) -> PartyTerms:
    identity = KEYS[name].identity
    base = PartyTerms(
        name=name,
        organisation=identity.organisation.hex(),
        sealing=identity.sealing.hex(),
        table=f"{name}.people",
        keys=(("id",),),
        kinds=(("text",),),
        features=("a", "b"),
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def train(partners: tuple[str, ...]) -> TrainTerms:
    """Terms that are complete."""
    made = TrainTerms(
        task="churn",
        model="logistic",
        split="vertical",
        label="y",
        positive="",
        partners=partners,
        folds=5,
        score_bits=4,
    )
    return replace(made, evaluations=8, fold_evaluations=2, noise="1", grid_bits=8, column_bits=8)


def contract(*names: str) -> Contract:
    parties = names or ("bank", "bureau")
    partners = parties[1:]
    uses: dict[str, dict[str, object]] = {
        "bank": {"segments": ("segment",), "labels": ("y",)},
        "bureau": {"measures": ("a",)},
    }
    made = Contract(
        version=VERSION,
        nonce=secrets.token_hex(32),
        job="churn",
        purpose="retention",
        purpose_class="marketing",
        entity="consumer",
        proposer="bank",
        receiver="bank",
        not_before=NOW - 100,
        expires=NOW + 1000,
        retention_days=30,
        seed=7,
        parties=tuple(terms(name, **uses.get(name, {})) for name in parties),
        align=tuple(
            AlignTerms(
                partner=p,
                protocol="ecdh",
                reveal="both",
                minimum_overlap=10,
                minimum_checked_by="receiver",
                largest_set=1000,
                duplicates="collapse",
                keep_tags_days=0,
                keep_tags_items=0,
            )
            for p in partners
        ),
        aggregate=(AggregateTerms("bureau", "segment", (Measure("a", "mean"),), 20, 3072),),
        train=(train(partners),),
    )
    made = replace(made, suites=suites_for(made.align, made.summed, made.train))
    return replace(made, disclosures=disclosures(made))


def test_canonical_bytes_round_trip() -> None:
    made = contract()
    assert Contract.from_bytes(made.to_bytes()) == made


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data.replace(b'"seed":7', b'"seed": 7'),
        lambda data: data.replace(b'"seed":7', b'"seed":7.0'),
        lambda data: data.replace(b'"seed":7', b'"seed":"7"'),
        lambda data: data.replace(b'"seed":7,', b""),
        lambda data: data[:-1] + b',"z":1}',
        lambda data: data + b" ",
        lambda data: data.replace(b'"job":"churn"', b'"job":"ch\\u0007urn"'),
        lambda data: data.replace(b'"version":%d' % VERSION, b'"version":1'),
        lambda data: data.replace(b"paillier-djn-v4", b"paillier-djn-v1"),
        lambda data: b"\xff" + data,
        lambda data: data.replace(b'"seed":7', b'"seed":9007199254740993'),
        lambda data: data.replace(b'"seed":7', b'"seed":' + b"9" * 5000),
        lambda data: data.replace(b'"job":"churn"', b'"job":"\\ud800"'),
        lambda data: data.replace(b'"retention_days":', b'"retention_days":-'),
        lambda data: data.replace(b'"duplicates":"collapse"', b'"duplicates":"sum"'),
        lambda data: data.replace(b'"split":"vertical"', b'"split":"both"'),
        lambda data: data.replace(b'"model":"logistic"', b'"model":""'),
        lambda data: data.replace(b'"model":"logistic"', b'"model":"trees"'),
        lambda data: data.replace(b'"score_bits":4', b'"score_bits":-1'),
        lambda data: data.replace(b'"score_bits":4', b'"score_bits":13'),
        lambda data: data.replace(b'"noise":"1"', b'"noise":"1.0"'),
        lambda data: data.replace(b'"noise":"1"', b'"noise":"-1"'),
        lambda data: data.replace(b'"noise":"1"', b'"noise":"nan"'),
        lambda data: data.replace(b'"noise":"1"', b'"noise":"much"'),
        lambda data: data.replace(b'"noise":"1"', b'"noise":""'),
        lambda data: data.replace(b'"evaluations":8', b'"evaluations":65'),
        lambda data: data.replace(b'"evaluations":8', b'"evaluations":0'),
        lambda data: data.replace(b'"folds":5', b'"folds":1'),
        lambda data: data.replace(b'"grid_bits":8', b'"grid_bits":13'),
        lambda data: data.replace(b'"column_bits":8', b'"column_bits":6'),
        lambda data: data.replace(b'"steps":0', b'"steps":1'),
        lambda data: data.replace(b'"row_bits":0', b'"row_bits":1'),
        lambda data: data.replace(b'"time":""', b'"time":"y"'),
        lambda data: data.replace(b'"validate_from":""', b'"validate_from":"2025-10-01"'),
        lambda data: data.replace(b"half-tree-regression-v6", b"half-tree-regression-v0"),
        lambda data: data.replace(b'"keep_tags_days":0', b'"keep_tags_days":-1'),
        lambda data: data.replace(b'"task":"churn"', b'"task":"' + b"x" * 65 + b'"'),
    ],
)
def test_other_spellings_and_foreign_terms_are_refused(spoil: object) -> None:
    data = contract().to_bytes()
    spoiled = spoil(data)  # type: ignore[operator]
    assert spoiled != data
    with pytest.raises(PeerError):
        Contract.from_bytes(spoiled)


def test_a_training_has_at_most_three_partners(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lookup a partner takes digits of all numbers."""
    for name in ("telco", "post"):
        monkeypatch.setitem(KEYS, name, PartyKeys.generate(name))
    contract("bank", "bureau", "registry", "telco").check()
    made = contract("bank", "bureau", "registry", "telco", "post")
    with pytest.raises(PeerError, match="partners = 4 found, 1 to 3 allowed"):
        made.check()


def test_a_contract_of_another_suite_is_told_which_is_here() -> None:
    old = contract().to_bytes().replace(b"paillier-djn-v4", b"paillier-djn-v1")
    with pytest.raises(PeerError, match=r"does not have \(paillier-djn-v4 is here\)"):
        Contract.from_bytes(old)


def test_an_officer_is_told_what_a_variance_gives_to_who_knows_a_group() -> None:
    made = contract()
    terms = made.aggregate[0]
    for statistic, told in (("sum", False), ("variance", True)):
        asked = replace(terms, measures=(Measure("amount", statistic),))
        text = "\n".join(in_words(replace(made, aggregate=(asked,))))
        assert ("all values of a group but two" in text) == told
        assert ("bureau tells it once: a later job asks the mean alone" in text) == told


def test_sections_over_the_same_rows_are_one_sentence() -> None:
    made = contract()
    second = replace(made.aggregate[0], by="region", measures=(Measure("b", "sum"),))
    lines = in_words(replace(made, aggregate=(*made.aggregate, second)))
    (line,) = [line for line in lines if "sends its values" in line]
    assert line.endswith(
        "3072-bit key, once; bank adds them up without reading them, "
        f"by {made.aggregate[0].by}: mean of a; by region: sum of b"
    )


def test_sections_over_the_same_rows_take_keys_of_one_size() -> None:
    made = contract()
    other = replace(made.aggregate[0], key_bits=2048)
    with pytest.raises(PeerError, match="keys of one size"):
        replace(made, aggregate=(*made.aggregate, other)).check()
    shared = replace(made.aggregate[0], key_bits=0, protocol="sums")
    suites = replace(made.suites, sums="half-tree-sums-v3")
    with pytest.raises(PeerError, match="need one protocol"):
        replace(made, aggregate=(*made.aggregate, shared), suites=suites).check()


def test_a_column_s_variance_is_in_one_section() -> None:
    made = contract()
    first = replace(made.aggregate[0], measures=(Measure("a", "variance"), Measure("b", "mean")))
    second = replace(first, by="region", measures=(Measure("a", "mean"),))
    BySegment().check(replace(made, aggregate=(first, second)))
    second = replace(second, measures=(Measure("a", "variance"),))
    with pytest.raises(PeerError, match="a variance of a in 2 sections, 1 allowed"):
        BySegment().check(replace(made, aggregate=(first, second)))


def test_private_sums_have_their_suite_and_no_key() -> None:
    made = contract()
    shared = replace(made.aggregate[0], key_bits=0, protocol="sums")
    with pytest.raises(OtherVersion, match="suite"):
        replace(made, aggregate=(shared,)).check()
    suites = replace(made.suites, sums="half-tree-sums-v3")
    replace(made, aggregate=(shared,), suites=suites).check()
    for terms in (replace(shared, key_bits=3072), replace(made.aggregate[0], key_bits=0)):
        own = suites if terms.shared else made.suites
        with pytest.raises(PeerError, match="private sums have no key"):
            replace(made, aggregate=(terms,), suites=own).check()
    squared = replace(shared, measures=(Measure("a", "variance"),))
    replace(made, aggregate=(squared,), suites=suites).check()
    wide = tuple(Measure("a", f"share>{number}") for number in range(300))
    with pytest.raises(PeerError, match="256 allowed by private sums"):
        replace(made, aggregate=(replace(shared, measures=wide),), suites=suites).check()


def test_names_of_fields_from_elsewhere_are_not_shown() -> None:
    """Errors stand on terminals and in logs."""
    data = contract().to_bytes()[:-1] + b',"z\\u001b[2Jplanted":1}'
    with pytest.raises(PeerError, match="unknown: 1") as caught:
        Contract.from_bytes(data)
    assert "planted" not in str(caught.value)


def test_keys_and_kinds_have_one_shape_and_partners_are_others() -> None:
    made = contract()
    made.check()
    bank, bureau = made.party("bank"), made.party("bureau")
    two = replace(bureau, keys=(("a",), ("b",)), kinds=(("text",), ("text",)))
    for other, said in (
        (replace(bureau, kinds=()), "kinds than of key columns"),
        (replace(bureau, kinds=(("text", "text"),)), "kinds than of key columns"),
        (two, "different levels"),
        (replace(bureau, keys=((),), kinds=((),)), "different levels"),
        (replace(bureau, kinds=(("phone",),)), "keys of different kinds"),
    ):
        with pytest.raises(PeerError, match=said):
            made.with_party(other).check()
    keyless = [replace(party, keys=(), kinds=()) for party in (bank, bureau)]
    with pytest.raises(PeerError, match="no keys"):
        made.with_party(keyless[0]).with_party(keyless[1]).check()
    with pytest.raises(PeerError, match="aligns a party twice"):
        replace(made, align=made.align * 2).check()
    with pytest.raises(PeerError, match="or the receiver with itself"):
        replace(made, align=(replace(made.align[0], partner="bank"),)).check()


def counting(made: Contract, measures: tuple[str, ...] = ("a",)) -> Contract:
    """The same parties with nothing asked of joined rows."""
    parties = tuple(
        replace(p, features=(), labels=(), segments=(), measures=measures * (p.name == "bureau"))
        for p in made.parties
    )
    bare = replace(made, parties=parties, aggregate=(), train=())
    return replace(bare, suites=suites_for(bare.align))


def test_a_join_and_sum_needs_a_count_with_its_partner() -> None:
    summed = JoinSumTerms(
        partner="bureau", measures=(Measure("a", "sum"),), minimum_group=20, key_bits=3072
    )
    made = counting(contract())
    with pytest.raises(PeerError, match="cardinality intersection"):
        replace(made, join_sum=(summed,)).check()
    counted = replace(made.align[0], reveal="cardinality")
    replace(made, align=(counted,), join_sum=(summed,)).check()
    both = (Measure("a", "sum"), Measure("a", "mean"))
    noised = replace(summed, measures=both, epsilon=400, ranges=(AmountTerms("a", 0, 9),))
    replace(made, align=(counted,), join_sum=(noised,)).check()
    for wrong in (
        replace(noised, ranges=()),
        replace(noised, ranges=(AmountTerms("b", 0, 9),)),
        replace(noised, ranges=(AmountTerms("a", 0, 9),) * 2),
        replace(noised, epsilon=0),
        replace(noised, measures=(Measure("a", "count"),)),
        replace(noised, ranges=(AmountTerms("a", 9, 0),)),
    ):
        with pytest.raises(PeerError, match="range"):
            replace(made, align=(counted,), join_sum=(wrong,)).check()
    with pytest.raises(PeerError, match="statistic"):
        replace(made, align=(counted,), join_sum=(replace(summed, measures=()),)).check()
    # what a join and sum runs on is no way to align
    with pytest.raises(PeerError, match="cannot do what it asks"):
        replace(made, align=(replace(counted, reveal="places"),)).check()


def test_validity() -> None:
    made = contract()
    made.check_time(NOW)
    with pytest.raises(Refused, match="expired"):
        made.check_time(NOW + 2000)
    with pytest.raises(Refused, match="not valid yet"):
        made.check_time(NOW - 2000)


def test_all_parties_must_have_signed_these_bytes() -> None:
    made = contract()
    data = made.to_bytes()
    signatures = {name: sign(KEYS[name], data) for name in ("bank", "bureau")}
    verify_signatures(made, signatures)
    with pytest.raises(PeerError, match="missing: bureau"):
        verify_signatures(made, {"bank": signatures["bank"]})
    with pytest.raises(PeerError, match="not signed by bank"):
        verify_signatures(replace(made, seed=8), {**signatures, "bank": sign(KEYS["bank"], data)})


def test_a_list_of_disclosures_that_the_steps_do_not_imply_is_refused() -> None:
    made = contract()
    check_disclosures(made)
    with pytest.raises(PeerError, match="list of disclosures"):
        check_disclosures(replace(made, disclosures=made.disclosures[1:]))


def test_each_party_is_told_of_the_shared_rows_first() -> None:
    found = contract().disclosures
    assert found[0].to == "bank"
    assert "which of its own records bureau has" in found[0].learns
    assert found[1].to == "bureau"


def by(protocol: str, **changes: object) -> Contract:
    return changed_to(protocol, contract("bank", "bureau", "registry"), changes)


def changed_to(protocol: str, made: Contract, changes: dict[str, object]) -> Contract:
    align = tuple(replace(t, protocol=protocol, **changes) for t in made.align)  # type: ignore[arg-type]
    if changes.get("reveal", "both") != "both":
        made = counting(made, ())
    made = replace(made, align=align, suites=suites_for(align, made.summed, made.train))
    return replace(made, disclosures=disclosures(made))


def test_the_suite_is_that_of_the_protocol() -> None:
    for protocol in PROTOCOLS:
        by(protocol).check()
    with pytest.raises(PeerError, match="suite"):
        replace(by("vole"), suites=Suites()).check()
    mixed = by("ecdh")
    align = (replace(mixed.align[0], protocol="vole"), *mixed.align[1:])
    with pytest.raises(PeerError, match="several protocols"):
        replace(mixed, align=align).check()


@pytest.mark.parametrize(
    "changes",
    [{"reveal": "cardinality"}, {"minimum_checked_by": "partner"}, {"keep_tags_days": 3}],
)
def test_what_only_one_protocol_can_is_refused_of_the_other(changes: dict[str, object]) -> None:
    by("ecdh", **changes).check()
    other = {"alternative": "vole-malicious"} | changes
    for wrong in (by("vole", **changes), by("ecdh", **other)):
        with pytest.raises(PeerError, match=r"cannot do what it asks|need the protocol ecdh"):
            wrong.check()


def test_joined_duplicates_of_several_partners_are_refused() -> None:
    by("ecdh", duplicates="join", reveal="receiver").check()
    with pytest.raises(PeerError, match="one pair for each"):
        by("ecdh", duplicates="join").check()


CHOSEN = (FeatureTerms("bank", ("a",)), FeatureTerms("bureau", ("b",)))


def choosing(*chosen: FeatureTerms, **more: object) -> Contract:
    """A second training by its own columns beside one by all."""
    made = contract()
    (whole,) = made.train
    half = replace(whole, task="half", features=chosen, **more)  # type: ignore[arg-type]
    made = replace(made, train=(whole, half))
    return replace(made, disclosures=disclosures(made))


def test_a_training_takes_the_columns_that_it_names() -> None:
    made = choosing(*CHOSEN)
    assert Contract.from_bytes(made.to_bytes()) == made
    whole, half = made.train
    assert made.features(whole, "bureau") == ("a", "b")
    assert made.features(half, "bureau") == ("b",)
    told = made.with_party(replace(made.party("bureau"), design_columns=(2, 1)))
    assert [told.design_columns(terms, "bureau") for terms in made.train] == [2, 1]
    assert [release.columns for release in planned(made, "bureau") if release.vectors] == [
        ("a", "b"), ("b",),
    ]  # fmt: skip
    assert any("bank's a and bureau's b" in line for line in in_words(made))


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ((FeatureTerms("bank", ("a",)),), "brings no column"),
        ((FeatureTerms("bureau", ()),), "brings no column"),
        ((*CHOSEN, FeatureTerms("registry", ("a",))), "no part in it"),
        ((*CHOSEN, CHOSEN[1]), "no part in it, or twice"),
        ((FeatureTerms("bureau", ("z",)),), "do not name for that"),
    ],
)
def test_a_training_names_no_columns_but_those_its_parties_bring(
    chosen: tuple[FeatureTerms, ...], said: str
) -> None:
    with pytest.raises(PeerError, match=said):
        choosing(*chosen).check()


def test_columns_are_stated_for_every_training_or_none() -> None:
    made = choosing(*CHOSEN)
    with pytest.raises(PeerError, match="other trainings"):
        made.with_party(replace(made.party("bureau"), design_columns=(2,))).check()
