# SPDX-License-Identifier: Apache-2.0
"""Each record is imported once, with its bytes, whatever fails, is repeated or comes in other files."""

import gzip
import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from support.log_files import Fault, HandClock
from support.memory_log import MemoryLog
from support.memory_state import MemoryState

from opentrail.errors import Unavailable
from opentrail.eventlog.base import Origin
from opentrail.history.index import History, Sizes
from opentrail.imports.contents import begun
from opentrail.imports.importer import Importer
from opentrail.imports.paths import Wanted
from opentrail.imports.sink_log import LogSink

NOW_MS = 1_800_000_000_000
SIZES = Sizes(batch_entries=8, flush_rows=12, merge_runs=3, merge_urgent_runs=4)
faults = st.sampled_from([Fault.NONE, Fault.NONE, Fault.LOST, Fault.KEPT])


@dataclass(frozen=True)
class File:
    name: str
    version: str
    data: bytes

    @property
    def size(self) -> int:
        return len(self.data)

    def pieces(self) -> Iterator[bytes]:
        yield self.data


def record(event_id: str, second: int, body: int) -> bytes:
    fields = {
        "eventVersion": "1.08",
        "eventTime": f"2026-01-31T10:00:{second:02}Z",
        "eventName": f"Call{body % 2}",
        "eventSource": "sagemaker.amazonaws.com",
        "awsRegion": "us-east-1",
        "requestParameters": {"n": body},
        "recipientAccountId": "111122223333",
        "eventCategory": "Management",
    }
    if event_id:
        fields["eventID"] = event_id
    return json.dumps(fields, separators=(",", ":")).encode()


# Few different ones: equal records, and equal eventIDs with other bodies, are frequent.
records = st.builds(
    record, st.sampled_from(["", "a", "b", "c"]), st.integers(0, 2), st.integers(0, 3)
)


class ImportOnce(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.log = MemoryLog()
        self.state = MemoryState()
        self.given: set[bytes] = set()
        self.files: list[File] = []
        self.place = tempfile.TemporaryDirectory()
        self.restart()

    @rule()
    def restart(self):
        """Another process: nothing but log and state is left."""
        path = Path(self.place.name)
        self.history = History.open(path, self.log, HandClock(NOW_MS), 1 << 40, sizes=SIZES)
        while self.history.step():
            pass
        self.sink = LogSink(self.log, self.history)
        self.importer = Importer(self.sink, self.state, Wanted(), self.told)

    def told(self, taken):
        """Say what came of files: only when their records are in the log, and before state knows it."""
        there = {entry.data for entry in self.log.entries(0)}
        for each in taken:
            assert each.unread == []
            assert each.done.imported + each.done.duplicates == len(_records(each.source))
            assert there.issuperset(_records(each.source))

    @rule(chosen=st.lists(st.lists(records, max_size=20), max_size=3), log=faults, state=faults)
    def import_files(self, chosen, log, state):
        made = []
        for inside in chosen:
            body = gzip.compress(b'{"Records":[' + b",".join(inside) + b"]}", mtime=0)
            made.append(File(f"file{len(self.files)}", "1", body))
            self.files.append(made[-1])
        self.take(made, log, state)

    @rule(index=st.integers(0, 20), log=faults, state=faults)
    def import_again(self, index, log, state):
        if self.files:
            self.take([self.files[index % len(self.files)]], log, state)

    def take(self, files, log, state):
        """Import, and again until it works: an unknown outcome ends the process."""
        for fault in ((log, state), (Fault.NONE, Fault.NONE)):
            self.log.fault, self.state.fault = fault
            try:
                for file in files:
                    if not self.importer.done(file):
                        self.importer.take(file, begun(file.pieces()))
                self.importer.finish()
            except Unavailable:
                self.log.fault = self.state.fault = Fault.NONE
                self.restart()
            else:
                assert all(self.importer.done(file) for file in files)
                break
            finally:
                self.log.fault = self.state.fault = Fault.NONE
        for file in files:
            self.given.update(_records(file))

    @invariant()
    def each_once(self):
        found = Counter(entry.data for entry in self.log.entries(0))
        assert found == Counter(self.given)
        assert all(entry.origin is Origin.IMPORT for entry in self.log.entries(0))

    def teardown(self):
        self.sink.__exit__()
        self.place.cleanup()


TestImportOnce = ImportOnce.TestCase
TestImportOnce.settings = settings(
    max_examples=40,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


def _records(file: File) -> list[bytes]:
    parsed = json.loads(gzip.decompress(file.data))["Records"]
    return [json.dumps(each, separators=(",", ":")).encode() for each in parsed]
