"""docs/JOB_FILE.md on tables.toml, against its reader: keys and examples."""

from __future__ import annotations

import re
from pathlib import Path

from federated.tables.bindings import _KNOWN_KEYS, TablesFile
from tests.unit.test_job_file_doc import DOC, cells


def test_tables_toml_knows_the_documented_keys_and_no_others(tmp_path: Path) -> None:
    part = DOC.split("## tables.toml", 1)[1].split("\n### ", 1)[0]
    lines = [cells(line) for line in part.splitlines() if line.startswith("| `")]
    documented = {key for line in lines for key in re.findall(r"`([^`]+)`", line[0])}
    assert documented == set(_KNOWN_KEYS)
    for line in lines:
        keys, shown = re.findall(r"`([^`]+)`", line[0]), re.findall(r"`([^`]+)`", line[2])
        for key in keys:
            for text in [shown[keys.index(key)]] if len(keys) == len(shown) else shown:
                body = f'path = "t.csv"\n{key} = {text}'
                if key in ("path", "connection", "table"):
                    body = f"{key} = {text}" + '\ntable = "t"' * (key == "connection")
                if key == "table":
                    continue  # its cell's example is the connection
                beside = "[bank.consents]\npath = 'consents.csv'\n"  # which `basis` names
                (tmp_path / "tables.toml").write_text(f"{beside}[bank.t]\n{body}\n", "utf-8")
                TablesFile.load(tmp_path / "tables.toml")
