"""A hash-pinned lock file and a bill of materials for a folder of wheels.

python tools/wheelhouse.py FOLDER

writes FOLDER/requirements.lock (for `pip install --require-hashes`) and FOLDER/sbom.json
(CycloneDX 1.5). Reads the wheels' own metadata; needs no network and nothing but Python.
"""

from __future__ import annotations

import hashlib
import json
import sys
import zipfile
from dataclasses import dataclass
from email.parser import Parser
from pathlib import Path

__all__ = ["Wheel", "lock", "materials", "read_wheel"]


@dataclass(frozen=True)
class Wheel:
    """One package: what its metadata say, and the SHA-256 of its file."""

    name: str
    version: str
    licence: str
    sha256: str


def read_wheel(path: Path) -> Wheel:
    """The package in a wheel. Raises `ValueError` if it has no metadata."""
    with zipfile.ZipFile(path) as archive:
        names = [n for n in archive.namelist() if n.endswith(".dist-info/METADATA")]
        if not names:
            raise ValueError(f"{path.name}: no metadata")
        found = Parser().parsestr(archive.read(names[0]).decode("utf-8", "replace"))
    licence = found.get("License-Expression") or _short(found.get("License") or "")
    if not licence:
        marks = [c for c in found.get_all("Classifier", []) if c.startswith("License ::")]
        licence = "; ".join(c.split(" :: ")[-1] for c in marks)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Wheel(str(found["Name"]), str(found["Version"]), licence or "unknown", digest)


def _short(text: str) -> str:
    first = text.strip().splitlines()[0] if text.strip() else ""
    return first[:80]


def lock(wheels: list[Wheel]) -> str:
    """Lines that `pip install --require-hashes -r` takes."""
    lines = [f"{w.name}=={w.version} --hash=sha256:{w.sha256}" for w in wheels]
    return "\n".join(sorted(lines, key=str.lower)) + "\n"


def materials(wheels: list[Wheel]) -> dict[str, object]:
    """A CycloneDX bill of materials."""
    parts = [
        {
            "type": "library",
            "name": w.name,
            "version": w.version,
            "purl": f"pkg:pypi/{w.name.lower()}@{w.version}",
            "licenses": [{"license": {"name": w.licence}}],
            "hashes": [{"alg": "SHA-256", "content": w.sha256}],
        }
        for w in sorted(wheels, key=lambda w: w.name.lower())
    ]
    return {"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1, "components": parts}


def main(folder: Path) -> int:
    """Write both files; returns the number of packages. Raises `ValueError` for one to be built."""
    for path in sorted([*folder.glob("*.tar.gz"), *folder.glob("*.zip")]):
        raise ValueError(f"{path.name} is no wheel: pip download --only-binary :all:")
    wheels = [read_wheel(path) for path in sorted(folder.glob("*.whl"))]
    (folder / "requirements.lock").write_text(lock(wheels), encoding="utf-8")
    text = json.dumps(materials(wheels), indent=1) + "\n"
    (folder / "sbom.json").write_text(text, encoding="utf-8")
    return len(wheels)


if __name__ == "__main__":
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        sys.exit("usage: python tools/wheelhouse.py FOLDER")
    try:
        sys.stdout.write(f"{main(Path(sys.argv[1]))} packages\n")
    except ValueError as error:
        sys.exit(str(error))
