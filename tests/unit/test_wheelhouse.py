from __future__ import annotations

import json
import runpy
import zipfile
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "wheelhouse.py"


def test_a_lock_file_and_a_bill_of_materials(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "thing-1.0-py3-none-any.whl", "w") as wheel:
        text = "Metadata-Version: 2.4\nName: Thing\nVersion: 1.0\nLicense-Expression: MIT\n"
        wheel.writestr("thing-1.0.dist-info/METADATA", text)
    tool = runpy.run_path(str(TOOL))
    assert tool["main"](tmp_path) == 1
    line = (tmp_path / "requirements.lock").read_text()
    assert line.startswith("Thing==1.0 --hash=sha256:")
    (part,) = json.loads((tmp_path / "sbom.json").read_text())["components"]
    assert part["purl"] == "pkg:pypi/thing@1.0"
    assert part["licenses"] == [{"license": {"name": "MIT"}}]
    (tmp_path / "other-2.0.tar.gz").touch()  # it could not be installed by the lock file
    with pytest.raises(ValueError, match=r"other-2.0.tar.gz is no wheel"):
        tool["main"](tmp_path)
