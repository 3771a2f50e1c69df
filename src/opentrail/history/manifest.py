# SPDX-License-Identifier: Apache-2.0
"""Which runs make up the index, and how far they cover the log.

The format is in docs/format.md, "Event history".
"""

from pathlib import Path

import msgspec

from opentrail.durable import OS_FILES, Files, read_file, replace_file

NAME = "manifest.json"
FORMAT_VERSION = 2


class RunRef(msgspec.Struct, frozen=True):
    """One run of the index."""

    start: int
    """Position in the log from which on it covers it."""
    end: int
    """Position up to which it covers the log; the next run starts there."""
    rows: int
    merged: bool
    """Whether it was made by merging runs: it is then not merged again."""

    @property
    def file_name(self) -> str:
        """The file's name in the index's directory."""
        return f"{self.start:020d}-{self.end:020d}.run"


class Manifest(msgspec.Struct, frozen=True):
    """The file ``manifest.json``. What it does not name does not exist."""

    version: int
    derive_version: int
    """``derive.DERIVE_VERSION`` of the code that made the runs; another one's are not used."""
    log_id: str
    covered: int
    """Position up to which the runs cover the log: from there on the log is read at start."""
    runs: list[RunRef]
    """In order of position."""


def load(directory: Path) -> Manifest | None:
    """Return the manifest; None when there is none that can be read: the index is built anew."""
    try:
        return msgspec.json.decode(read_file(directory / NAME), type=Manifest)
    except (FileNotFoundError, IsADirectoryError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def store(directory: Path, manifest: Manifest, files: Files = OS_FILES) -> None:
    """Replace the manifest, durably; a crash leaves the old one or the new. Raises: OSError."""
    replace_file(directory / NAME, msgspec.json.encode(manifest), files)
