"""What a notebook may import: it is there, says what its arguments are, costs nothing unused."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import federated
import fedprofile
import profiles.views
import psi
from psi import AlignSettings, Refused, intersect
from psi.align import PROTOCOLS

ROOT = Path(__file__).parents[2]
PACKAGES = (psi, federated, profiles, fedprofile)


def arguments(given: Any) -> list[str]:
    parameters = inspect.signature(given).parameters
    return [name for name in parameters if name not in ("self", "args", "kwargs")]


def unsaid(given: Any) -> list[str]:
    """Arguments that a docstring does not name."""
    said = inspect.getdoc(given) or ""
    if inspect.isclass(given) and "__init__" in vars(given):
        said += inspect.getdoc(given.__init__) or ""
    if inspect.isclass(given) and issubclass(given, Exception):
        return [] if said else [given.__name__]
    return [name for name in arguments(given) if not re.search(rf"\b{name}\b", said)]


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_public_names_say_what_their_arguments_are(package: ModuleType) -> None:
    assert package.__all__
    for name in package.__all__:
        given = getattr(package, name)
        if inspect.isfunction(given) or inspect.isclass(given):
            assert inspect.getdoc(given), name
            assert not unsaid(given), f"{name} does not say what {unsaid(given)} are"
        if inspect.isclass(given) and not issubclass(given, Exception):
            methods = inspect.getmembers(given, inspect.isroutine)
            for method, found in methods:
                if not method.startswith("_") and method in vars(given):
                    assert inspect.getdoc(found), f"{name}.{method}"


def rooms() -> list[str]:
    """The packages' public subpackages."""
    return [
        f"{package.__name__}.{found.name}"
        for package in PACKAGES
        for found in pkgutil.iter_modules(package.__path__)
        if found.ispkg and not found.name.startswith("_")
    ]


def test_what_rooms_hand_out_says_what_its_arguments_are() -> None:
    lacking = []
    for room in rooms():
        module = importlib.import_module(room)
        for name in getattr(module, "__all__", ()):
            given = getattr(module, name)
            if inspect.isfunction(given) or inspect.isclass(given):
                said = unsaid(given) if inspect.getdoc(given) else ["anything"]
                lacking += [f"{room}.{name}: {argument}" for argument in said]
    assert lacking == []


def examples() -> Iterator[doctest.DocTest]:
    """Those in docstrings of public names, of their methods, and of the packages themselves."""
    given = {name: getattr(fedprofile, name) for name in fedprofile.__all__}
    known = {"np": np, "pa": pa, "pd": pd, "TemporaryDirectory": TemporaryDirectory} | given
    finder = doctest.DocTestFinder(exclude_empty=True)
    for name, found in given.items():
        if inspect.isfunction(found) or inspect.isclass(found):
            for one in finder.find(found, name, module=False, globs=known):
                if one.examples:
                    yield one


EXAMPLES = {example.name: example for example in examples()}


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_in_docstrings_say_what_happens(name: str) -> None:
    said: list[str] = []
    found = doctest.DocTestRunner().run(EXAMPLES[name], out=said.append)
    assert not found.failed, "".join(said)


def test_what_can_be_called_at_once_has_an_example() -> None:
    functions = {n for n in fedprofile.__all__ if inspect.isfunction(getattr(fedprofile, n))}
    of_a_run = {"verify_ledger"}  # wants a party's files
    assert functions - of_a_run <= set(EXAMPLES)
    assert {"Job.load", "Taxonomy.load"} <= set(EXAMPLES)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    for package in PACKAGES:
        with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
            package.nothing  # noqa: B018


def test_fedprofile_hands_out_what_the_three_do_and_the_page_lists_it() -> None:
    every = {name for package in PACKAGES[:3] for name in package.__all__}
    assert set(fedprofile.__all__) == every
    page = (ROOT / "docs" / "API.md").read_text("utf-8")
    assert not [name for name in every if f"`{name}" not in page]


def test_the_wheel_has_every_package() -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]
    assert wheel["targets"]["wheel"]["packages"] == [package.__name__ for package in PACKAGES]


def test_importing_and_completing_it_loads_nothing_heavy() -> None:
    code = (
        "import sys, fedprofile; assert set(fedprofile.__all__) < set(dir(fedprofile)); "
        "print({'numpy', 'pyarrow', 'flwr'} & set(sys.modules))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "set()"


@pytest.mark.parametrize("protocol", ["ecdh", "vole"])
def test_two_parties_intersect_in_one_call(protocol: str) -> None:
    assert protocol in PROTOCOLS
    mine, theirs = ["a", None, "b", "c"], pa.array(["x", "c", "a"])
    settings = AlignSettings(protocol=protocol)
    receiver, sender = intersect(mine, theirs, settings=settings)
    assert (receiver.rows.tolist(), sender.rows.tolist()) == ([0, 3], [2, 1])
    assert receiver.matched == 2
    hidden = AlignSettings(protocol=protocol, reveal="receiver")
    receiver, sender = intersect(mine, theirs, settings=hidden)
    assert (receiver.rows.tolist(), len(sender.rows), sender.matched) == ([0, 3], 0, -1)
    with pytest.raises(Refused):
        intersect(mine, theirs, settings=AlignSettings(protocol=protocol, minimum_overlap=3))


def public_functions() -> dict[str, Any]:
    """Every function that the chapter shows, by its name there."""
    public = {name: getattr(fedprofile, name) for name in fedprofile.__all__}
    functions: dict[str, Any] = {
        name: given for name, given in public.items() if inspect.isfunction(given)
    }
    for room, name in (("Job", "load"), ("Flows", "load"), ("Flows", "of"), ("Taxonomy", "load")):
        functions[f"{room}.{name}"] = getattr(public[room], name)
    return functions | {"views.feature_frame": profiles.views.feature_frame}


def test_what_takes_a_path_takes_its_text_and_the_other_way_round() -> None:
    path, text = re.compile(r"\bPath\b"), re.compile(r"\bstr\b")
    asked = [
        (name, one.name, str(one.annotation))
        for name, given in public_functions().items()
        for one in inspect.signature(given).parameters.values()
        if path.search(str(one.annotation))
    ]
    assert len(asked) > 10
    assert not [one for one in asked if not text.search(one[2])]


def test_api_chapter_has_each_public_functions_signature() -> None:
    """As names and defaults: a changed one, and a new function, must change the chapter."""

    def told(name: str, given: Any) -> str:
        said, named = list[str](), False
        signature = inspect.signature(given)
        for one in signature.parameters.values():
            if one.kind is one.KEYWORD_ONLY and not named:
                said, named = [*said, "*"], True
            default = "" if one.default is one.empty else f"={one.default!r}"
            said.append("**" * (one.kind is one.VAR_KEYWORD) + one.name + default)
        return f"{name}({', '.join(said)}) -> {signature.return_annotation}"

    functions = public_functions()
    chapter = (ROOT / "docs/API.md").read_text("utf-8").split("## Signatures")[1]
    shown = chapter.split("```")[1].strip().splitlines()
    assert shown == [told(name, given) for name, given in functions.items()]


@pytest.mark.parametrize("column", [["a B", None], pd.Series(["a B", None]), ("a B", None)])
def test_clean_takes_lists_and_series(column: Any) -> None:
    same = psi.clean(pa.array(["a B", None]), "name").values.to_pylist()
    assert psi.clean(column, "name").values.to_pylist() == same


@pytest.mark.parametrize("column", ["ann", b"ann", {"a": 1}, None, 3, ["a", 1]])
def test_clean_refuses_what_is_no_column(column: Any) -> None:
    with pytest.raises(psi.MisuseError, match="a list of one type"):
        psi.clean(column, "name")
