# SPDX-License-Identifier: Apache-2.0
"""An import into a log of one's own has it trained once, on its first records."""

from support.data_directories import encoded, record
from support.log_files import HandClock
from support.memory_log import MemoryLog

from opentrail.history.index import History
from opentrail.imports import sink_log
from opentrail.imports.sink_log import LogSink


def take(sink, first, count):
    sink.prepare([encoded(record(n)) for n in range(first, first + count)])
    sink.begin()
    return sink.finish()


def test_it_is_trained_when_there_are_enough_new_records(tmp_path, monkeypatch):
    monkeypatch.setattr(sink_log, "TRAIN_RECORDS", 100)
    log, trained = MemoryLog(), []
    history = History.open(tmp_path, log, HandClock(), 1 << 40)
    with LogSink(log, history, lambda: trained.append(log.durable_end())) as sink:
        take(sink, 0, 99)
        assert len(take(sink, 0, 99).duplicates) == 99
        assert trained == []
        take(sink, 99, 1)
        assert trained == [log.durable_end()]
        take(sink, 100, 300)
        assert len(trained) == 1
