# SPDX-License-Identifier: Apache-2.0
"""The log as a stranger reads it who has docs/format.md and nothing else of ours."""

from pathlib import Path

import pytest
from support import log_reader
from support.log_files import HandClock
from support.seeded_ids import SeededIds

from opentrail.eventlog.base import Draft, Origin
from opentrail.eventlog.options import LogOptions
from opentrail.eventlog.segments import Segments


@pytest.mark.parametrize("options", [None, LogOptions(segment_bytes_max=3_000, dictionary=b"")])
def test_a_stranger_reads_what_we_wrote(tmp_path, options):
    clock = HandClock()
    log = Segments.open(tmp_path, clock, SeededIds(), options)
    for group in range(60):
        clock.ms += 1
        origins = list(Origin)[: 1 + group % 4]
        texts = [b'{"eventID":"%d-%d"}' % (group, origin) for origin in origins]
        log.append([Draft(origin, text) for origin, text in zip(origins, texts, strict=True)])
    ours = list(log.entries(0))
    theirs = list(log_reader.read_log(tmp_path / "log"))
    log.close()
    assert len(ours) == 150
    assert theirs == [
        (entry.position, entry.append_ms, entry.origin.name.lower(), entry.data) for entry in ours
    ]


def test_the_reader_is_short_and_a_stranger():
    text = Path(log_reader.__file__).read_text()
    assert len(text.splitlines()) <= 100
    assert "opentrail" not in text
