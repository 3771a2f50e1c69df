# SPDX-License-Identifier: Apache-2.0
"""The zstd dictionary of new segments: ``log/dictionary``, or the one that comes with OpenTrail.

After docs/format.md. Each segment carries its own, so another one changes nothing that is written.
"""

from collections.abc import Sequence
from pathlib import Path

import zstandard

from opentrail.durable import OS_FILES, Files, read_file, replace_file
from opentrail.errors import Corrupt
from opentrail.eventlog.blob import DICTIONARY_PATH
from opentrail.eventlog.frame import DICTIONARY_BYTES_MAX, checksum
from opentrail.eventlog.options import LogOptions

NAME = "dictionary"
DICTIONARY_BYTES = 32 * 1024
"""As the one that comes with OpenTrail: 64 KB saves 1 % more, and each segment carries it."""
SEGMENT_BYTES, STEPS = 8, 4
"""zstd's COVER: d, and how many values of k are tried. Of more none was better."""
_CHECK_BYTES = 4
_NO_OPTIONS = LogOptions()
_HINT = "remove the file, or train again; new segments have OpenTrail's own dictionary meanwhile"


def trained(samples: Sequence[bytes]) -> bytes:
    """Return a dictionary made of ``samples``; b"" when they are too few or too much alike."""
    try:
        made = zstandard.train_dictionary(
            DICTIONARY_BYTES, list(samples), d=SEGMENT_BYTES, steps=STEPS
        )
    except zstandard.ZstdError:
        return b""
    return made.as_bytes()


def store(log_dir: Path, dictionary: bytes, files: Files = OS_FILES) -> None:
    """Keep ``dictionary`` for new segments; a crash leaves the one before. Raises: OSError."""
    check = checksum(dictionary).to_bytes(_CHECK_BYTES, "little")
    replace_file(log_dir / NAME, dictionary + check, files)


def load(log_dir: Path) -> bytes | None:
    """Return the dictionary that was trained; None when there is none. Raises: Corrupt."""
    path = log_dir / NAME
    try:
        content = read_file(path)
    except FileNotFoundError:
        return None
    dictionary, check = content[:-_CHECK_BYTES], content[-_CHECK_BYTES:]
    whole = 0 < len(dictionary) <= DICTIONARY_BYTES_MAX
    if not whole or checksum(dictionary).to_bytes(_CHECK_BYTES, "little") != check:
        raise Corrupt("not the dictionary that was trained", str(path), _HINT)
    return dictionary


def of_new_segments(log_dir: Path, options: LogOptions = _NO_OPTIONS) -> bytes:
    """Return what new segments are compressed with: a damaged dictionary must not stop the log."""
    if options.dictionary is not None:
        return options.dictionary
    try:
        found = load(log_dir)
    except Corrupt:
        found = None
    return DICTIONARY_PATH.read_bytes() if found is None else found
