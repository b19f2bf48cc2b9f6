"""What DuckDB spills are plain rows: they lie in a folder of this user's alone, and end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SPILL = """
import os, stat
from federated.readers import duckdb_connection
connection = duckdb_connection().con
connection.execute("SET memory_limit = '60MB'")
connection.execute("SET threads = 1")
connection.execute("CREATE TABLE t AS SELECT range a, hash(range) b FROM range(6000000)")
(folder,) = connection.execute("SELECT current_setting('temp_directory')").fetchone()
assert os.listdir(folder)
assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
print(folder)
"""


def test_spilled_rows_are_nobody_elses_and_end_with_the_process(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SPILL],
        cwd=tmp_path,
        env={"TMPDIR": str(tmp_path), "PATH": "", "PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).parent == tmp_path
    assert not list(tmp_path.iterdir())  # neither the folder nor a .tmp where it was begun
