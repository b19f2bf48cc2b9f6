from __future__ import annotations

import re
from pathlib import Path

import pytest

from federated.aggregate import Amount
from profiles.job import Job
from psi.align import LARGE, choose
from psi.protocol import JobError

GOOD = """
[job]
name = "churn"
purpose = "retention"

[[party]]
name = "bank"
table = "bank.consumers"
keys = [["id"], ["phone", "name"]]
features = ["balance"]

[[party]]
name = "bureau"
table = "bureau.people"
keys = [["id_no"], ["mobile", "name"]]
features = ["loans", "overdue"]

[align]
kinds = [["identity_number"], ["phone", "name"]]

[[aggregate]]
by = "bank.segment"
measures = ["bureau.loans:mean", "bureau.overdue"]

[train]
task = "churn"
label = "bank.churned"

[[target]]
product = "renewal"
top = 10
"""
FEATURE = "bureau.loans"
SECTION = """[[aggregate]]
by = "bank.segment"
measures = ["bureau.loans:mean", "bureau.overdue"]

"""


def load(tmp_path: Path, text: str) -> Job:
    path = tmp_path / "job.toml"
    path.write_text(text, encoding="utf-8")
    return Job.load(path)


def test_a_job_is_read_with_its_defaults(tmp_path: Path) -> None:
    job = load(tmp_path, GOOD)
    assert job.receiver == "bank"
    assert job.partners() == ["bureau"]
    assert (job.seed, job.key_bits, job.entity) == (7, 3072, "consumer")
    assert job.aggregates[0].measures == (("loans", "mean"), ("overdue", "mean"))
    assert job.align is not None
    assert job.align.reveal == "both"
    assert (job.trains[0].label_party, job.trains[0].label) == ("bank", "churned")


def test_columns_with_dots_and_colons_in_their_names(tmp_path: Path) -> None:
    text = GOOD.replace('"bank.churned"', '"bank.churned.90d"')
    text = text.replace('"bureau.loans:mean"', '"bureau.loans:open.all:mean"')
    job = load(tmp_path, text)
    assert (job.trains[0].label_party, job.trains[0].label) == ("bank", "churned.90d")
    assert job.aggregates[0].measures == (("loans:open.all", "mean"), ("overdue", "mean"))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[job]\n", "[jub]\n", r"job.toml: \[job\]: missing"),
        ('name = "churn"\n', "", r"\[job\] name: missing, a text needed"),
        ('purpose = "retention"', "purpose = 7", r"purpose: a number found, a text allowed"),
        (
            'purpose = "retention"',
            'purpos = "x"',
            "purpose: missing.*there is purpos: purpose is meant",
        ),
        ('purpose = "retention"', 'purpose = "a\\u001bb"', "printable characters"),
        ("[align]", '[align]\nreveal = "all"', "reveal: 'all' found, both or receiver or"),
        ("[align]", "[align]\nminimum_overlap = -1", "minimum_overlap: -1 found, 0 to"),
        ("[align]", "[align]\nprotokol = 1", "protokol: unknown key.*did you mean protocol"),
        ('kinds = [["identity_number"], ["phone", "name"]]', 'kinds = [["text"]]', "kinds: 'anoth"),
        (
            'keys = [["id_no"], ["mobile", "name"]]',
            'keys = [["id_no"]]',
            "bank and bureau have 2 and 1 keys",
        ),
        ('keys = [["id_no"], ["mobile", "name"]]', 'keys = ["id_no"]', "list of lists"),
        ('table = "bureau.people"', 'table = "bank.people"', 'table: .*"bureau.TABLE" allowed'),
        ('by = "bank.segment"', 'by = "bureau.segment"', "categories: missing"),
        ("bureau.loans:mean", "bureau.loans:median", "count, sum, mean, variance"),
        ("bureau.loans:mean", "bank.loans:mean", "PARTNER.COLUMN:mean"),
        ("bureau.loans:mean", "telco.loans:mean", "no party 'telco': there are bank, bureau"),
        ("bureau.loans:mean", "bureau.loans:share>many", r"loans:share>many' found, count, sum"),
        ("bureau.loans:mean", "bureau.loans:share>nan", "finite numbers allowed"),
        ("bureau.loans:mean", "bureau.loans:histogram[2,1]", "1 to 50 edges in rising order"),
        ("bureau.loans:mean", "bureau.loans:histogram[]", "histogram"),
        ('label = "bank.churned"', 'label = "bureau.churned"', "the receiver holds the label"),
        ('task = "churn"', 'task = "churn"\nfolds = 1', "folds"),
        ('task = "churn"', f'task = "{"流失" * 11}"', "task: '流失"),
        ('task = "churn"', 'task = "churn"\nmodel = "forest"', "model: 'forest' found, logistic"),
        ('task = "churn"', 'task = "churn/0"', "task: 'churn/0' found, a name without a slash"),
        ("top = 10", 'top = 10\ntask = "chrun"', "'chrun' found, churn allowed"),
        ("[[target]]", f"{SECTION}[[target]]", r"\[\[aggregate\]\]: two sections found"),
        (
            '"bureau.overdue"]\n',
            '"bureau.loans:variance"]\n[[aggregate]]\nby = "bank.region"\n'
            'measures = ["bureau.loans:variance"]\n',
            "bureau.loans:variance found in 2 sections, 1 allowed",
        ),
        ("top = 10", "top = 0", "top: 0 found, 1 to"),
        ("top = 10", 'top = 10\n[[target]]\nproduct = "renewal"', "'renewal' found 2 times"),
        ("[[target]]", "[target]", r"write \[\[target\]\]"),
        ("[train]", "[train]\nevaluations = 65", "evaluations: 65 found, 0 to 64 allowed"),
        ("[train]", "[train]\nsteps = 21", "steps: 21 found, 0 to 20 allowed"),
        ("[train]", "[train]\nfold_steps = 11", "fold_steps: 11 found, 0 to 10 allowed"),
        (
            "[train]",
            "[train]\nrow_bits = 3",
            "row_bits: '3' found, 5.0 or more with score_bits = 5",
        ),
        ("[train]", "[train]\nearly_stop = 3", r'no key with model = "logistic".*"trees" has it'),
        (
            "[train]",
            '[train]\nmodel = "trees"\nclass_weight = 2',
            r'class_weight: .*no key with model = "trees" .*"logistic" has it',
        ),
        ("[train]", "[train]\nxyzzy = 1", "known keys: class_weight, .*offset, .*weight"),
        (
            'label = "bank.churned"',
            'label = "task:churn"',
            r"""'task:churn' found, "bank.COLUMN" without a \[label\].*task = 'churn'""",
        ),
        ("[train]", "[train]\nnoise = -1", "noise: -1 found, 0 to 100 allowed"),
        ("[align]", '[align]\nreveal = "receiver"', "both allowed"),
        ('features = ["loans", "overdue"]', "", "no partner brings any"),
        ('features = ["balance"]', 'features = ["balance", "balance"]', "repeated entry"),
        ('name = "bureau"', 'name = "../x"', "letters, digits"),
        ('name = "churn"\npurpose', 'name = "churn"\nkey_bits = 1024\npurpose', "2048 to 8192"),
        ('name = "churn"\npurpose', "name = \npurpose", "not TOML"),
    ],
)
def test_a_mistake_names_file_key_found_and_allowed(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    assert old in GOOD
    with pytest.raises(JobError, match=message) as caught:
        load(tmp_path, GOOD.replace(old, new, 1))
    assert "job.toml" in str(caught.value)
    assert caught.value.exit_code == 3


def test_join_and_sum_needs_a_count(tmp_path: Path) -> None:
    section = '[align]\nreveal = "cardinality"\n[[join_sum]]\nmeasures = ["bureau.loans"]\n'
    section += 'noise = "none"\n'
    text = GOOD.split("[align]", maxsplit=1)[0] + section
    job = load(tmp_path, text)
    assert [(j.partner, j.measures) for j in job.join_sums] == [("bureau", (("loans", "sum"),))]
    assert job.join_sums[0].minimum_group == 20
    with pytest.raises(JobError, match=r"\[align\] reveal: cardinality needed"):
        load(tmp_path, text.replace('"cardinality"', '"both"'))
    with pytest.raises(JobError, match=r"PARTNER\.COLUMN:sum"):
        load(tmp_path, text.replace("bureau.loans", "bank.loans"))


def test_a_join_and_sum_has_noise_for_its_ranges_and_is_exact_without(tmp_path: Path) -> None:
    section = '[align]\nreveal = "cardinality"\n[[join_sum]]\nmeasures = [{}]\n'
    text = GOOD.split("[align]", maxsplit=1)[0] + section
    both = '"bureau.loans:sum[0,9]", "bureau.loans:mean[0,9]", "bureau.x:count"'
    (found,) = load(tmp_path, text.format(both)).join_sums
    assert found.measures == (("loans", "sum"), ("loans", "mean"), ("x", "count"))
    assert (found.epsilon, found.ranges) == (1000, (Amount("loans", 0, 9),))
    for asked, why in (
        ('"bureau.loans", "bureau.owed:sum[0,9]"', "LOW,HIGH"),
        ('"bureau.loans:sum[9,0]"', "LOW,HIGH"),
        ('"bureau.loans:sum[0,9]", "bureau.loans:mean[0,8]"', "one range for column 'loans'"),
        ('"bureau.loans:count[0,9]"', "count without a range"),
        ('"bureau.loans:median[0,9]"', "count, sum, mean as statistic"),
    ):
        with pytest.raises(JobError, match=why):
            load(tmp_path, text.format(asked))
    with pytest.raises(JobError, match="sum without a range"):
        load(tmp_path, text.format('"bureau.loans:sum[0,9]"') + 'noise = "none"\n')
    for asked, more, epsilon in (
        ('"bureau.loans"', "", 0),  # exact: a new node's policy refuses it
        ('"bureau.loans:mean", "bureau.x:count"', "", 0),
        ('"bureau.x:count"', "", 1000),
    ):
        (found,) = load(tmp_path, text.format(asked) + more).join_sums
        assert (found.epsilon, found.ranges) == (epsilon, ())
    for more in ('noise = "laplace"\n', "epsilon = 0.5\n"):
        with pytest.raises(JobError, match="LOW,HIGH"):
            load(tmp_path, text.format('"bureau.loans"') + more)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="no such file"):
        Job.load(tmp_path / "absent.toml")


@pytest.mark.parametrize("path", sorted(Path("examples").glob("*/job.toml")), ids=str)
def test_the_examples_are_valid(path: Path) -> None:
    assert Job.load(path).parties


def test_measures_have_one_spelling(tmp_path: Path) -> None:
    measures = '["bureau.loans:share >= 0.50", "bureau.loans: histogram[0, 1.0, 2.5]", "bureau.x"]'
    job = load(tmp_path, GOOD.replace('["bureau.loans:mean", "bureau.overdue"]', measures))
    assert job.aggregates[0].measures == (
        ("loans", "share>=0.5"),
        ("loans", "histogram[0,1,2.5]"),
        ("x", "mean"),
    )


@pytest.mark.parametrize("name", ["vole", "vole-malicious"])
def test_a_protocol_that_cannot_is_refused_with_one_that_can(tmp_path: Path, name: str) -> None:
    head = GOOD.split("[[aggregate]]", maxsplit=1)[0]
    single = head.replace('[["id"], ["phone", "name"]]', '[["id"]]')
    single = single.replace('[["id_no"], ["mobile", "name"]]', '[["id_no"]]')
    single = single.replace('[["identity_number"], ["phone", "name"]]', '[["identity_number"]]')
    assert load(tmp_path, single).open_protocol
    assert not load(tmp_path, single + f'protocol = "{name}"').open_protocol
    for line in ('reveal = "cardinality"', 'minimum_checked_by = "partner"', "keep_tags_days = 3"):
        assert not load(tmp_path, f"{single}{line}\n").open_protocol
        with pytest.raises(JobError, match=rf'protocol {name} allowed \(take protocol = "ecdh"'):
            load(tmp_path, f'{single}{line}\nprotocol = "{name}"\n')


def test_large_balanced_sets_take_vole_with_checks_where_all_accept_it() -> None:
    large, both = LARGE, ("ecdh", "vole", "vole-malicious")
    assert choose([(large, large)], both)[0] == "vole-malicious"
    for sizes, allowed, why in (
        ([(large, large)], ("ecdh",), "policy"),
        ([(large, large)], ("ecdh", "vole"), "policy"),
        ([(large, large - 1)], both, "100,000 records"),
        ([(large, large), (large, 20 * large)], both, "10 times"),
    ):
        name, told = choose(sizes, allowed)
        assert name == "ecdh"
        assert why in told
    name, told = choose([(10, 10)], ("vole-malicious",))
    assert (name, told) == ("vole-malicious", "not every party's policy allows ecdh")


SECOND = """[[train]]
task = "{task}"
label = "bank.{label}"
{more}

"""


def several(task: str = "loan", label: str = "borrowed", more: str = "") -> str:
    """Two trainings, and a list for the second."""
    text = GOOD.replace("[train]", "[[train]]").replace("top = 10", f'task = "{task}"')
    return text.replace(
        "[[target]]", SECOND.format(task=task, label=label, more=more) + "[[target]]"
    )


def test_several_trainings_share_one_alignment(tmp_path: Path) -> None:
    job = load(tmp_path, several())
    assert [(train.task, train.label) for train in job.trains] == [
        ("churn", "churned"), ("loan", "borrowed"),
    ]  # fmt: skip
    assert [target.task for target in job.targets] == ["loan"]
    assert job.train("loan").label == "borrowed"
    alone = load(tmp_path, GOOD.replace("[train]", "[[train]]"))
    assert alone == load(tmp_path, GOOD)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (several(task="Churn "), "task: 'churn' found more than once"),
        (several(label="churned"), "label: 'churned' found in two trainings by the same"),
        (
            re.sub(r"keys = .*\n|kinds = .*\n", "", several(more='split = "horizontal"'))
            .replace('label = "bank.', 'split = "horizontal"\nlabel = "', 1)
            .replace('label = "bank.', 'label = "')
            .replace("[align]", ""),
            "2 found, one allowed",
        ),
    ],
)
def test_trainings_are_told_apart(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(JobError, match=message):
        load(tmp_path, text)


def test_a_training_takes_some_of_the_columns(tmp_path: Path) -> None:
    """What half the columns are worth is a second training with the same label."""
    half = several(label="churned", more=f'features = ["{FEATURE}"]')
    job = load(tmp_path, half)
    party, _, column = FEATURE.partition(".")
    chosen = next(train for train in job.trains if train.task == "loan")
    assert {name: job.features(chosen, name) for name in job.partners()} == {party: (column,)}
    assert job.features(job.train("churn"), party) == job.party(party).features


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (several(more='features = ["bureau.nothing"]'), "'bureau.nothing' found, columns of"),
        (several(more='features = ["nobody.x"]'), "PARTY.COLUMN"),
        (several(more="features = []"), "one column or more"),
        (GOOD.replace("[train]", f'[train]\nfeatures = ["{FEATURE}"]'), "is in no training"),
        (
            GOOD.replace('features = ["', 'features = ["churned", "', 1),
            "'churned' found, its label",
        ),
    ],
)
def test_columns_of_a_training_are_those_of_the_parties(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(JobError, match=message):
        load(tmp_path, text)


def test_a_list_names_its_training_where_there_are_several(tmp_path: Path) -> None:
    text = several()
    spoiled = text[: text.rindex('task = "loan"')] + text[text.rindex('task = "loan"') + 13 :]
    with pytest.raises(JobError, match=r"\[\[target\]\] 1 task: missing"):
        load(tmp_path, spoiled)
