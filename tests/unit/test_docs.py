"""Pages lead somewhere; the threat model's first page says what a new node's policy lets pass."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from federated.approval.policy_file import load_policy
from federated.node.home import NodeHome
from federated.releases.limits import NEW_LABEL_BITS

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "README.zh.md", "SECURITY.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "examples").rglob("*.md")),
]
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's heads, as they are made of their words."""
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    found = set[str]()
    for head in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", head).replace("`", "").strip().lower()
        name = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        more = 1
        while name in found:
            name, more = f"{name.removesuffix(f'-{more - 1}')}-{more}", more + 1
        found.add(name)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_heads_that_are_there(page: Path) -> None:
    for link in LINK.findall(CODE.sub("", page.read_text("utf-8"))):
        if "://" in link or link.startswith("mailto:"):
            continue
        file, _, at = link.partition("#")
        place = (page.parent / file).resolve() if file else page
        assert place.exists(), f"{page.name}: {link}"
        if at and place.suffix == ".md":
            assert at in anchors(place), f"{page.name}: {link}"


def test_the_first_page_of_the_threat_model_says_what_a_new_node_allows(tmp_path: Path) -> None:
    page = (ROOT / "docs/THREAT_MODEL.md").read_text("utf-8").split("## Who is trusted")[0]
    new = load_policy(NodeHome.create(tmp_path / "node", "bureau", "hub:1").policy)
    limits, releases = new.limits, new.releases
    for said in (
        f"groups of {limits.minimum_group} records or more",
        f"differ by fewer than {releases.minimum_difference} records",
        f"an epsilon of {releases.epsilon_per_column:.1f} in all on a column",
        f"**{releases.row_share:.0%} of the bits that it holds at most, and "
        f"{releases.row_left:g} stay untold**",
        f"jobs of {releases.keep_days} days",
        f"book lets {releases.label_bits:g} bit be told",
    ):
        assert said in page, said
    assert releases.label_bits == NEW_LABEL_BITS
    assert limits.aggregate_protocols == ("sums",)
