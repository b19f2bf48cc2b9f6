"""A template in Chinese: the English job, line by line, and its tables, page and policy.

`files/zh.toml` has what each line becomes, what columns, tasks and parties are called on pages, and
the parts of each template's page. Keys, columns and codes are the same in both languages.
"""

from __future__ import annotations

import json
import re
import tomllib
from functools import cache
from importlib import resources
from typing import Any

import pandas as pd

from profiles.job import Job

__all__ = ["LANG", "chinese_frame", "chinese_job", "chinese_page", "said_of"]

LANG = "zh"


@cache
def _whole() -> dict[str, Any]:
    path = resources.files("profiles.templates").joinpath("files", f"{LANG}.toml")
    return tomllib.loads(path.read_text("utf-8"))


def said_of(key: str, partner: str) -> str:
    """A comment of the template's files, about this party."""
    return str(_whole()[key]).format(partner=_whole()["titles"][partner])


def chinese_job(text: str) -> str:
    """A template's job file, with the titles of the names that it has."""
    pairs = (pair.split("\n") for pair in _whole()["lines"].strip().split("\n\n"))
    said = {pair[0]: pair[1] for pair in pairs}
    lines = [said.get(line, line) for line in text.splitlines()]
    names = {name for quoted in re.findall(r'"([^"]*)"', text) for name in quoted.split(".")}
    names |= {name.partition(":")[0] for name in names}  # orders_12m:mean
    titles = {name: title for name, title in _whole()["titles"].items() if name in names}
    first = lines.index("[[party]]")
    lines[first - 1 : first] = [f'lang = "{LANG}"', "", "[job.titles]      # 页面上的称呼"]
    place = first + 2
    lines[place:place] = [*(f"{n} = {_quoted(t)}" for n, t in titles.items()), ""]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def chinese_frame(frame: pd.DataFrame, job: Job) -> pd.DataFrame:
    """An invented table whose branches, managers, groups and names are Chinese.

    Args:
        frame: as the English template has it.
        job: in Chinese.
    """
    values = dict(_whole()["values"])
    if job.targets and "product" in frame:
        own = set(frame["product"]) - set(values)
        values |= dict.fromkeys(own, job.targets[0].product)
    found = frame.copy()
    for column in {"branch", "segment", "manager", "product"} & set(frame.columns):
        found[column] = frame[column].map(values)
    kinds = {"company": "企业", "government": "机构"}
    if job.entity in kinds and "name" in found:
        found["name"] = kinds[job.entity] + found["name"].str.rpartition(" ")[2]
    return found


def chinese_page(name: str, job: Job) -> str:
    """The page of a template.

    Args:
        name: of the template.
        job: in Chinese.
    """
    whole, asks = _whole(), job_asks(name)
    mine = whole[name]
    gives = mine["gives"] + (whole["list"] if job.targets else "")
    return (
        str(whole["page"])
        .lstrip()
        .format(
            title=job.name,
            asks=asks,
            name=name,
            uses=mine["uses"],
            gives=gives,
            partner=whole["titles"][job.parties[1].name],
            last=mine.get("last") or whole["persons"],
        )
    )


def job_asks(name: str) -> str:
    """The question of a template: the first line of its job file."""
    path = resources.files("profiles.templates").joinpath("files", f"{name}.toml")
    return chinese_job(path.read_text("utf-8")).splitlines()[0].removeprefix("# ")
