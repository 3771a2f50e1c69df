# SPDX-License-Identifier: Apache-2.0
"""The zstd dictionary of new segments: ``log/dictionary``, or the one that comes with OpenTrail.

After docs/format.md. Each segment carries its own, so another one changes nothing that is written.
"""

from collections.abc import Sequence
from pathlib import Path

import zstandard

from opentrail.durable import OS_FILES, Files, read_file, replace_file
from opentrail.errors import Corrupt, Unavailable
from opentrail.eventlog.blob import DICTIONARY_PATH, BlobCodec
from opentrail.eventlog.frame import DICTIONARY_BYTES_MAX, checksum
from opentrail.eventlog.options import LogOptions

NAME = "dictionary"
DICTIONARY_BYTES = 32 * 1024
"""As the one that comes with OpenTrail: 64 KB saves 1 % more, and each segment carries it."""
SEGMENT_BYTES, COMMON_BYTES = 2048, 8
"""zstd's COVER: k and d. On records of 2,000 real calls no other k made later ones smaller, and one that is
given takes a quarter of the time that trying some takes."""
_CHECK_BYTES = 4
_NO_OPTIONS = LogOptions()
_HINT = "remove the file, or train again; new segments have OpenTrail's own dictionary meanwhile"


def trained(samples: Sequence[bytes]) -> bytes:
    """Return a dictionary made of ``samples``; b"" when they are too few or too much alike."""
    try:
        made = zstandard.train_dictionary(
            DICTIONARY_BYTES, list(samples), k=SEGMENT_BYTES, d=COMMON_BYTES
        )
    except zstandard.ZstdError:
        return b""
    return made.as_bytes()


def store(log_dir: Path, dictionary: bytes, files: Files = OS_FILES) -> None:
    """Keep ``dictionary`` for new segments; a crash leaves the one before. Raises: OSError."""
    check = checksum(dictionary).to_bytes(_CHECK_BYTES, "little")
    replace_file(log_dir / NAME, dictionary + check, files)


def drop(log_dir: Path, files: Files = OS_FILES) -> None:
    """Have new segments compressed with OpenTrail's own again, durably. Raises: OSError."""
    files.unlink(log_dir / NAME)
    files.sync_dir(log_dir)


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
    """Return what new segments are compressed with: a damaged dictionary must not stop the log.

    Raises: OSError.
    """
    if options.dictionary is not None:
        return options.dictionary
    try:
        found = load(log_dir)
    except Corrupt:
        found = None
    return DICTIONARY_PATH.read_bytes() if found is None else found


class NewSegments:
    """What the segments that a log begins are compressed with."""

    def __init__(self, log_dir: Path, options: LogOptions) -> None:
        """See what is there now. Raises: OSError."""
        self._dir = log_dir
        self._options = options
        self.dictionary = of_new_segments(log_dir, options)
        self.codec = BlobCodec(self.dictionary)

    def renew(self) -> bool:
        """Take what is there now; return whether that is another one. Raises: Unavailable."""
        try:
            dictionary = of_new_segments(self._dir, self._options)
        except OSError as error:
            raise Unavailable(f"the dictionary cannot be read: {error.strerror}") from error
        if dictionary == self.dictionary:
            return False
        self.dictionary, self.codec = dictionary, BlobCodec(dictionary)
        return True
