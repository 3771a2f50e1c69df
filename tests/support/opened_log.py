# SPDX-License-Identifier: Apache-2.0
"""The embedded log, opened over files that fail when told to, with a clock moved by hand."""

from pathlib import Path

from support.log_files import FaultFiles, HandClock
from support.seeded_ids import SeededIds

from opentrail.eventlog.base import Draft, MarkKind, Origin
from opentrail.eventlog.options import LogOptions
from opentrail.eventlog.segment import list_firsts
from opentrail.eventlog.segments import Segments

SMALL = LogOptions(segment_bytes_max=1_000, dictionary=b"")


class Opened:
    """A log with its clock and its files."""

    def __init__(
        self, data: Path, options: LogOptions = SMALL, files: FaultFiles | None = None
    ) -> None:
        self.data = data
        self.clock = HandClock()
        self.files = files or FaultFiles()
        self.options = options
        self.log = Segments.open(data, self.clock, SeededIds(), options, self.files)

    def put(self, *texts: bytes) -> list[int]:
        """Append records; return their positions."""
        return self.log.append([Draft(Origin.CAPTURE, text) for text in texts])

    def mark(self, *payloads: bytes) -> list[int]:
        """Append cuts; return their positions."""
        return self.log.append_marks([(MarkKind.CUT, payload) for payload in payloads])

    def texts(self) -> list[bytes]:
        """Return all records."""
        return [entry.data for entry in self.log.entries(0)]

    def segments(self) -> list[int]:
        """Return the first positions of the segments."""
        return list_firsts(self.data / "log")

    def again(self) -> "Opened":
        """Close the log and open it anew, over files that do not fail."""
        self.log.close()
        return Opened(self.data, self.options)


def incompressible(size: int) -> bytes:
    """Return a record that takes ``size`` bytes on disk too."""
    return SeededIds(7).random_bytes(size).replace(b"\n", b" ")
