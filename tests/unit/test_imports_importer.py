# SPDX-License-Identifier: Apache-2.0
"""What cannot be read of a file is told before the file counts as done: else a crash would hide it."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import pytest
from support.log_files import Fault
from support.memory_state import MemoryState

from opentrail.errors import Unavailable
from opentrail.imports.contents import begun
from opentrail.imports.importer import Importer, Outcome, Taken
from opentrail.imports.paths import Wanted
from opentrail.imports.run import NAMED_MAX, Summary, import_all

RECORD = b'{"eventTime":"2026-01-31T10:00:00Z"}'


@dataclass
class File:
    data: bytes
    name: str = "a.json"
    version: str = "1"
    size: int = 1

    def pieces(self) -> Iterator[bytes]:
        yield self.data


class AllTaken:
    """A sink that takes everything."""

    def prepare(self, records: list[bytes]) -> None:
        """Do nothing."""

    def begin(self) -> None:
        """Do nothing."""

    def finish(self) -> Outcome:
        return Outcome()


def test_what_cannot_be_read_is_told_before_the_file_is_done():
    state = MemoryState()
    told: list[Taken] = []
    file = File(RECORD + b"\n{bad\n")
    importer = Importer(AllTaken(), state, Wanted(), told.extend)
    importer.take(file, begun(file.pieces()))
    state.fault = Fault.LOST
    with pytest.raises(Unavailable):
        importer.finish()
    assert [len(each.unread) for each in told] == [1]
    assert importer.done(file) is None
    importer.take(file, begun(file.pieces()))
    importer.finish()
    assert [len(each.unread) for each in told] == [1, 1]
    assert importer.done(file) == told[1].done


def test_what_cannot_be_known_again_is_never_done():
    told: list[Taken] = []
    importer = Importer(AllTaken(), MemoryState(), Wanted(), told.extend)
    file = File(RECORD, version="")
    importer.take(file, begun(file.pieces()))
    importer.finish()
    assert told[0].done.imported == 1
    assert importer.done(file) is None


@pytest.mark.parametrize("over", [-1, 0, 1, 5])
def test_of_one_file_a_thousand_are_listed_and_all_are_counted(over):
    told: list[Taken] = []
    importer = Importer(AllTaken(), MemoryState(), Wanted(), told.extend)
    file = File(b"{bad\n" * (1000 + over) + RECORD)
    importer.take(file, begun(file.pieces()))
    importer.finish()
    (taken,) = told
    assert (taken.done.quarantined, taken.done.imported) == (1000 + over, 1)
    unlisted = [each for each in taken.unread if "not listed" in each.reason]
    assert len(unlisted) == (over > 0)
    assert len(taken.unread) - len(unlisted) == min(1000 + over, 1000)


@pytest.mark.parametrize("between", [0, NAMED_MAX - 1, NAMED_MAX])
def test_a_file_that_comes_twice_is_read_once(between):
    """At once, while it is remembered, and when state has long said that it is done."""
    others = [File(RECORD, f"{number}.json") for number in range(between)]
    importer, summary = partial(Importer, AllTaken(), MemoryState(), Wanted()), Summary()
    files = [File(RECORD), *others, File(RECORD)]
    import_all(files, importer, lambda _: None, lambda _: None, summary)
    assert (summary.files, summary.files_before, summary.imported) == (between + 1, 1, between + 1)
