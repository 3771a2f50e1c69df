# SPDX-License-Identifier: Apache-2.0
"""Clients that OpenTrail's own environment cannot have: installed on demand, kept between runs.

Each is skipped, with its reason, where its tools or its registry cannot be had.
"""

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

INSTALL_S_MAX = 150
UV = Path(sys.prefix).parent / ".venv-uv" / "bin" / "uv"
_NO_NETWORK = (
    "ENOTFOUND",
    "EAI_AGAIN",
    "ECONNREFUSED",
    "ETIMEDOUT",
    "ENETUNREACH",
    "NewConnection",
)
"""What npm and pip say where a registry is out of reach."""


def node(project: Path, cache: Path) -> Path:
    """Return a directory with the modules of ``project``'s lock file and its script."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not installed")
    files = [project / name for name in ("package.json", "package-lock.json")]
    where = cache / _stamp(files)
    if not (where / "complete").exists():
        where.mkdir(parents=True, exist_ok=True)
        for file in files:
            shutil.copy(file, where)
        _install(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], where)
        (where / "complete").touch()
    for script in project.glob("*.mjs"):
        shutil.copy(script, where)
    return where


def python(requirements: Path, cache: Path) -> Path:
    """Return a Python interpreter whose environment has ``requirements``."""
    where = cache / _stamp([requirements])
    found = where / "bin" / "python"
    if not (where / "complete").exists():
        if UV.exists():  # as fast again, and dev.py has put it there
            _install([str(UV), "venv", "--quiet", "--python", sys.executable, str(where)], cache)
            pip = [str(UV), "pip", "install", "--quiet", "--python", str(found)]
        else:
            _install([sys.executable, "-m", "venv", str(where)], cache)
            pip = [str(found), "-m", "pip", "install", "--quiet", "--retries", "1"]
        _install([*pip, "--no-deps", "-r", str(requirements)], cache)
        (where / "complete").touch()
    return found


def _stamp(files: Sequence[Path]) -> str:
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


def _install(command: Sequence[str], where: Path) -> None:
    done = subprocess.run(
        command, cwd=where, capture_output=True, text=True, check=False, timeout=INSTALL_S_MAX
    )
    said = done.stdout + done.stderr
    if done.returncode and any(word in said for word in _NO_NETWORK):
        pytest.skip(f"{Path(command[0]).name} reaches no package registry")
    assert done.returncode == 0, said
