"""What is measured: our own subjects, and peers in folders and environments of their own.

A peer is `benchmarks/peers/NAME/` with `requirements.txt` (pinned; a first line
`# python 3.11` names the Python it needs) and `run.py`. A subject is a folder's name, or that
and a variant: `spu-ecdh` runs the peer `spu` with the variant `ecdh`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from psi.protocol import EnvironmentFailed, MisuseError

__all__ = ["Subject", "find", "peers"]

HERE = Path(__file__).parent
INSTALL_SECONDS = 1800


@dataclass(frozen=True)
class Subject:
    """How to start one subject: a command that takes the suite's options, and its environment."""

    name: str
    command: tuple[str, ...]
    environment: dict[str, str]


def peers() -> list[str]:
    """The peers' names."""
    return sorted(path.parent.name for path in (HERE / "peers").glob("*/run.py"))


def find(name: str, suite: str) -> Subject:
    """The subject, installed if it is a peer seen for the first time.

    Raises:
        MisuseError: no such subject.
        EnvironmentFailed: a peer that cannot be installed here.
    """
    if name == "ours" or name.startswith("ours-"):
        variant = name.partition("-")[2]
        kernels = "portable" if variant.endswith("portable") else ""
        environment = {"FEDPROFILE_KERNELS": kernels} if kernels else {}
        variant = variant.removesuffix("portable").removesuffix("-")
        command = (sys.executable, "-m", f"benchmarks.ours_{suite}", "--variant", variant)
        return Subject(name, command, environment)
    folders = [peer for peer in peers() if name == peer or name.startswith(peer + "-")]
    if not folders:
        raise MisuseError(f"subject {name!r} found, ours or a peer allowed: {', '.join(peers())}")
    peer = max(folders, key=len)
    python = _environment(HERE / "peers" / peer)
    script = str(HERE / "peers" / peer / "run.py")
    variant = name.removeprefix(peer).removeprefix("-")
    return Subject(name, (str(python), script, "--variant", variant), {})


def _environment(folder: Path) -> Path:
    """The Python of a peer's virtual environment, made once for each requirements.txt."""
    text = (folder / "requirements.txt").read_text(encoding="utf-8")
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    place = _cache() / f"{folder.name}-{digest}"
    python = place / "bin" / "python"
    if (place / "installed").exists():
        return python
    shutil.rmtree(place, ignore_errors=True)
    base = _base_python(text, folder.name)
    steps = (
        (base, "-m", "venv", str(place)),
        (str(python), "-m", "pip", "install", "-q", "-r", str(folder / "requirements.txt")),
    )
    for step in steps:
        done = subprocess.run(
            step, capture_output=True, text=True, check=False, timeout=INSTALL_SECONDS
        )
        if done.returncode:
            errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
            why = errors[0].removeprefix("ERROR: ") if errors else f"exit code {done.returncode}"
            raise EnvironmentFailed(f"the peer {folder.name} does not install here: {why}")
    (place / "installed").touch()
    return python


def _cache() -> Path:
    base = Path(os.environ.get("XDG_CACHE_HOME", "") or Path.home() / ".cache")
    return base / "fedprofile-benchmarks"


def _base_python(requirements: str, peer: str) -> str:
    first = requirements.splitlines()[0].removeprefix("#").split()
    if len(first) != 2 or first[0] != "python":
        return sys.executable
    version = first[1]
    root = Path(os.environ.get("PYENV_ROOT", "") or Path.home() / ".pyenv") / "versions"
    candidates = [sys.executable, f"python{version}"]
    candidates += sorted(str(path) for path in root.glob(f"{version}.*/bin/python"))
    check = f"import sys; sys.exit('%d.%d' % sys.version_info[:2] != '{version}')"
    for candidate in candidates:
        try:
            asked = subprocess.run(
                (candidate, "-c", check), check=False, timeout=60, capture_output=True
            )
            if not asked.returncode:
                return candidate
        except OSError:
            continue
    raise EnvironmentFailed(f"the peer {peer} needs Python {version}, which is not here")
