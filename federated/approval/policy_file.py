"""`policy.toml`: reads a party's policy strictly, and writes the one that a new node begins with.

Every mistake is a `JobError` that names the file, the key, what was found and what is allowed. A
key that is left out sets no limit of the party's own: the floors of `Policy` hold.
docs/POLICY.md has every key.
"""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

from federated.approval.direct import read_direct
from federated.approval.policy import (
    ANY,
    BASES,
    DAYS,
    STEPS,
    Limits,
    Models,
    Officers,
    Policy,
    Proposals,
    Retention,
)
from federated.approval.rules import RULE_DAYS, Rule
from federated.contract.kinds.align import DUPLICATES, REVEALS
from federated.contract.parts import ENTITIES
from federated.contract.purposes import PURPOSE_CLASSES
from federated.contract.summed import AGGREGATE_PROTOCOLS
from federated.releases.limits import read_release_limits
from federated.tables.about import DATA_CLASSES
from federated.tables.bindings import PERMISSIONS
from federated.toml_sections import TomlSection, load_toml
from psi.align import PROTOCOLS
from psi.protocol import JobError

__all__ = ["NEW_POLICY", "load_policy"]

NEW_POLICY = """\
# What this party allows. Read anew at every proposal: a change needs no restart.
# `fedprofile node policy check` says whether it is well-formed and what it means.
# POLICY.md, in fedprofile's documentation, has every key. Nothing is approved without an officer
# until you write a rule.

[proposals]
from = ["*"]                  # names of parties that may propose; "*": any confirmed peer
purposes = ["*"]              # as jobs name them: ["retention", "fraud"]
purpose_classes = ["*"]       # of ["risk", "marketing", "service", "research"]
open = 4                      # proposals of one party that may wait at a time
jobs_a_day = 10               # of one party
rows_a_day = 20_000_000       # that this party brings to one party's jobs
valid_hours = 168             # a contract may start for so long, at most
retention_days = 90           # a receiver may keep the outputs for so long, at most

[limits]
reveal = ["both", "receiver", "cardinality"]
protocols = ["ecdh", "vole-malicious"]   # plain "vole": a party that lies reads the other's set
duplicates = ["collapse"]     # "join" too: all pairs of rows with one key, as SQL's inner join
minimum_overlap = 100         # a contract must ask for at least so many shared records
minimum_group = 20            # and for groups of at least so many
largest_set = 10_000_000      # and for sets of at most so many records
aggregate_protocols = ["sums"]   # adds statistics up; by "paillier" a receiver that lies reads rows
keep_tags_days = 31           # tags may serve later jobs for so long
keep_tags_items = 10_000_000  # and so many records may be asked under them
basis = "persons"             # this party's rows about persons only by a lawful basis; "none": any
score_vectors = 4             # numbers a record that all trainings of a contract may tell
train_noise = 1.0             # the least on sums that a training opens, from 16,384 rows on
sums_a_row = 1.0              # of fewer: so many sums without noise, for each row, at most
largest_epsilon = 1.0         # the weakest noise for tables by this party's categories
key_bits = 3072

[columns]
unlisted = "never"            # columns that neither tables.toml nor this file names
# "bureau.repayment" = { income = "never", open_loans = "feature" }

[data]                        # which purposes data may serve that tables.toml gives a data_class
bureau = ["risk"]             # credit reporting: no marketing
sensitive = []                # health, beliefs, biometrics, minors: nothing until you say what

[officers]
users = []                    # users of this machine who decide; []: whoever may write to the desk.
                              # `fedprofile node officers add` gives officers keys of their own
approvals = 1                 # how many officers must approve
wait_hours = 72               # a proposal that nobody decides on is refused after so long
four_eyes = true              # who proposes a job of this party's own may not approve it

[models]                      # by which rows are scored
released = false              # true: by those alone that an officer with a key of his own has
                              # released, another than who had them trained

[releases]                    # what one receiver may learn, over a contract and all before it
row_share = 0.4               # bits told of a row, as a share of those that it holds
row_left = 7                  # and so many of them stay untold at least
minimum_difference = 10       # any two answers differ in so many entities, or one gives no answer
releases_per_column = 24      # within keep_days
thresholds_per_column = 20    # distinct ones, of shares and histograms
epsilon_per_column = 1.0      # of noised answers together; for each purpose that is named above
label_bits = 1.0              # of a label of this party's, to one partner by all its trainings
keep_days = 400

[retention]                   # what the node removes by itself, and `fedprofile node purge`
requests_days = 365
jobs_days = 3650
admitted_days = 1096          # who was in which job, as keyed digests, for a person who asks
by_timer = true               # once an hour; outputs after their contract's retention_days

# [direct]                    # ways to other parties of a job beside the hub; none without it
# listen = "0.0.0.0:9443"     # where this machine hears them, from the node's next start on
# advertise = "bureau.example:9443"   # how they get there; told to the parties of a signed contract
# dial = { bank = "bank.example:9443" }   # where this node may call whom, and nowhere else

# [[approve]]                 # without an officer, within all limits above
# name = "monthly churn"
# from = ["bank"]
# purposes = ["retention"]
# tables = ["bureau.repayment"]
# columns = ["open_loans", "overdue_12m"]
# jobs = 12                   # in 365 days; then an officer is asked again
# until = "2027-11-30"        # the last day
# row_bits = 30               # of a row by all these jobs together; epsilon, releases too
# series = ["churn 2027"]     # that contracts name, with totals no larger than these
"""


def load_policy(path: Path) -> Policy:
    """The policy in a file, or one that approves nothing by itself if there is no file."""
    if not path.exists():
        return Policy()
    root = TomlSection(path.name, "", load_toml(path))
    proposals = _proposals(root.table("proposals") or TomlSection(path.name, "[proposals]", {}))
    data = _data(root.table("data") or TomlSection(path.name, "[data]", {}))
    columns, unlisted = _columns(root.table("columns") or TomlSection(path.name, "[columns]", {}))
    policy = Policy(
        proposals=proposals,
        limits=_limits(root.table("limits") or TomlSection(path.name, "[limits]", {})),
        officers=_officers(root.table("officers") or TomlSection(path.name, "[officers]", {})),
        models=_models(root.table("models") or TomlSection(path.name, "[models]", {})),
        retention=_retention(root.table("retention") or TomlSection(path.name, "[retention]", {})),
        releases=read_release_limits(root.table("releases"), proposals.purposes),
        columns=columns,
        unlisted=unlisted,
        data=data,
        direct=read_direct(root.table("direct")),
        rules=tuple(_rule(section) for section in root.tables("approve")),
    )
    root.done()
    counted = next((rule.name for rule in policy.rules if rule.counted), None)
    for key in ("requests_days", "jobs_days"):
        days = getattr(policy.retention, key)
        if counted is not None and days < RULE_DAYS:
            raise JobError(
                f"{path.name}: [[approve]] {counted!r}: {key} = {days} found, {RULE_DAYS} needed",
                hint="jobs of a rule are counted by the requests that are kept, and a session "
                "whose folder is gone could come again",
            )
    totals = next((rule.name for rule in policy.rules if rule.totals), None)
    if totals is not None and policy.releases.keep_days < RULE_DAYS:
        raise JobError(
            f"{path.name}: [[approve]] {totals!r}: [releases] keep_days = "
            f"{policy.releases.keep_days} found, {RULE_DAYS} needed",
            hint="what the jobs of a rule have told is counted by the book of releases",
        )
    names = [rule.name for rule in policy.rules]
    if len(set(names)) != len(names):
        raise JobError(f"{path.name}: [[approve]] name: used twice, a name of its own needed")
    return policy


def _proposals(section: TomlSection) -> Proposals:
    default = Proposals()
    found = Proposals(
        parties=section.texts("from", list(ANY)),
        fingerprints=section.texts("fingerprints", []),
        purposes=section.texts("purposes", list(ANY)),
        purpose_classes=section.names("purpose_classes", ANY, (*ANY, *PURPOSE_CLASSES)),
        entities=section.names("entities", ENTITIES, ENTITIES),
        receivers=section.texts("receivers", list(ANY)),
        days=section.names("days", DAYS, DAYS),
        hours=_hours(section),
        open=section.integer("open", default.open, 1, 16),
        jobs_a_day=section.integer("jobs_a_day", default.jobs_a_day, 0, 10**6),
        rows_a_day=section.integer("rows_a_day", default.rows_a_day, 0, 10**12),
        valid_hours=section.integer("valid_hours", default.valid_hours, 1, default.valid_hours),
        retention_days=section.integer(
            "retention_days", default.retention_days, 0, default.retention_days
        ),
    )
    for print_ in found.fingerprints:
        if not re.fullmatch(r"[0-9a-f]{40}", "".join(print_.split()).lower()):
            raise section.fail("fingerprints", print_, "40 hexadecimal digits")
    section.done()
    return found


def _hours(section: TomlSection) -> tuple[int, int]:
    text = section.text("hours", "00:00-24:00")
    found = re.fullmatch(r"(\d\d):([0-5]\d)-(\d\d):([0-5]\d)", text)
    numbers = [int(group) for group in found.groups()] if found else [0, 0, 0, 0]
    begins, ends = numbers[0] * 60 + numbers[1], numbers[2] * 60 + numbers[3]
    if not 0 <= begins < ends <= 24 * 60:
        raise section.fail("hours", text, '"HH:MM-HH:MM" within one day')
    return begins, ends


def _limits(section: TomlSection) -> Limits:
    default = Limits()
    found = Limits(
        reveal=section.names("reveal", REVEALS, REVEALS),
        protocols=section.names("protocols", ANY, (*ANY, *PROTOCOLS)),
        suites=section.texts("suites", list(ANY)),
        minimum_overlap=section.integer("minimum_overlap", default.minimum_overlap, 0, 10**9),
        minimum_checked_by=section.text("minimum_checked_by", "receiver", ("receiver", "partner")),
        minimum_group=section.integer(
            "minimum_group", default.minimum_group, default.minimum_group, 10**6
        ),
        largest_set=section.integer("largest_set", default.largest_set, 1, default.largest_set),
        keep_tags_days=section.integer(
            "keep_tags_days", default.keep_tags_days, 0, default.keep_tags_days
        ),
        keep_tags_items=section.integer(
            "keep_tags_items", default.keep_tags_items, 0, default.keep_tags_items
        ),
        score_vectors=section.integer(
            "score_vectors", default.score_vectors, 0, default.score_vectors
        ),
        train_noise=section.number("train_noise", default.train_noise, 0, 100),
        sums_a_row=section.number("sums_a_row", default.sums_a_row, 0, default.sums_a_row),
        unnoised_categories=section.flag("unnoised_categories", default.unnoised_categories),
        basis=section.text("basis", default.basis, BASES),
        unnoised_join_sums=section.flag("unnoised_join_sums", default.unnoised_join_sums),
        unnoised_labels=section.flag("unnoised_labels", default.unnoised_labels),
        largest_epsilon=round(
            1000 * section.number("largest_epsilon", default.largest_epsilon / 1000, 0.01, 20)
        ),
        key_bits=section.integer("key_bits", default.key_bits, default.key_bits, 8192),
        duplicates=section.names("duplicates", DUPLICATES, DUPLICATES),
        aggregate_protocols=section.names(
            "aggregate_protocols", default.aggregate_protocols, AGGREGATE_PROTOCOLS
        ),
    )
    section.done()
    return found


def _officers(section: TomlSection) -> Officers:
    default = Officers()
    found = Officers(
        section.texts("users", []),
        section.integer("wait_hours", default.wait_hours, 1, 24 * 366),
        section.flag("four_eyes", default.four_eyes),
        section.integer("approvals", default.approvals, 1, 9),
    )
    section.done()
    return found


def _models(section: TomlSection) -> Models:
    found = Models(section.flag("released", Models().released))
    section.done()
    return found


def _retention(section: TomlSection) -> Retention:
    default = Retention()
    found = Retention(
        section.integer("requests_days", default.requests_days, 1, 36500),
        section.integer("jobs_days", default.jobs_days, 1, 36500),
        section.integer("admitted_days", default.admitted_days, 1, 36500),
        section.flag("by_timer", default.by_timer),
    )
    section.done()
    return found


def _columns(section: TomlSection) -> tuple[dict[str, dict[str, str]], str]:
    unlisted = section.text("unlisted", "label", PERMISSIONS)
    tables = {table: section.mapping(table, PERMISSIONS) for table in section.rest()}
    section.done()
    return tables, unlisted


def _data(section: TomlSection) -> dict[str, tuple[str, ...]]:
    """Classes of purposes by class of data; a class that is left out may serve any."""
    every = (*ANY, *PURPOSE_CLASSES)
    found = {n: section.names(n, ANY, every) for n in DATA_CLASSES if section.has(n)}
    section.done()
    return found


def _rule(section: TomlSection) -> Rule:
    found = Rule(
        name=section.text("name"),
        parties=section.texts("from", []),
        purposes=section.texts("purposes", []),
        purpose_classes=section.names("purpose_classes", (), PURPOSE_CLASSES),
        tables=section.texts("tables", []),
        columns=section.texts("columns", []),
        steps=section.names("steps", (), STEPS),
        reveal=section.names("reveal", (), REVEALS),
        largest_set=section.integer("largest_set", 10**9, 1, 10**9),
        jobs=section.integer("jobs", 1, 1, 10_000) if section.has("jobs") else 0,
        until=_day(section, "until"),
        row_bits=section.bound("row_bits", 0.0, 1000.0),
        epsilon=section.bound("epsilon", 0.0, 1e6),
        releases=section.integer("releases", 0, 0, 10**6) if section.has("releases") else None,
        series=section.texts("series", []),
        own=section.flag("own", False),
    )
    if found.own and (not found.jobs or found.totals):
        raise section.fail(
            "own", "true", "with jobs, and without totals, which count what others are told"
        )
    if found.series and not found.counted:
        raise section.fail(
            "series",
            ", ".join(found.series),
            "with jobs, row_bits, epsilon or releases: else the proposer chooses the totals",
        )
    section.done()
    return found


def _day(section: TomlSection, key: str) -> dt.date | None:
    text = section.text(key, "")
    try:
        return dt.date.fromisoformat(text) if text else None
    except ValueError:
        raise section.fail(key, text, "a day as 2027-11-30") from None
