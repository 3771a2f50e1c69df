# SPDX-License-Identifier: Apache-2.0
"""Appends through the link whose outcome is unknown: nothing overtakes them."""

from pathlib import Path

import pytest
from support.log_files import HandClock
from support.seeded_ids import SeededIds

from opentrail.errors import Unavailable
from opentrail.eventlog import link
from opentrail.eventlog.base import Draft, Origin
from opentrail.eventlog.link import Kind, LinkedLog, encode_positions, encode_refusal
from opentrail.eventlog.options import LogOptions
from opentrail.eventlog.segments import Segments

DRAFT = Draft(Origin.INTERNAL, b'{"eventID":"1"}')
FULL = Unavailable("the log refuses", "make room on the disk")


def test_no_append_overtakes_one_that_front_has_not_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(link, "APPEND_TIMEOUT_S", 0.01)
    Segments.open(tmp_path, HandClock(), SeededIds(1), LogOptions("")).close()
    sent: list[int] = []
    log = LinkedLog(tmp_path / "log", lambda _kind, number, _payload: sent.append(number))
    with pytest.raises(Unavailable, match="may be in the log"):
        log.append([DRAFT])
    assert "earlier append" in log.writable()
    with pytest.raises(Unavailable, match="earlier append"):
        log.append([DRAFT])
    assert len(sent) == 1
    log.answered(Kind.APPENDED, sent[0], encode_positions([7]))
    assert log.writable() == ""


@pytest.mark.parametrize("kind", [Kind.APPENDED, Kind.REFUSED])
def test_an_answer_in_time_leaves_nothing_open(tmp_path: Path, kind: Kind):
    Segments.open(tmp_path, HandClock(), SeededIds(1), LogOptions("")).close()
    payload = encode_positions([7]) if kind is Kind.APPENDED else encode_refusal(FULL)

    def answer(_kind: Kind, number: int, _payload: bytes) -> None:
        log.answered(kind, number, payload)

    log = LinkedLog(tmp_path / "log", answer)
    if kind is Kind.APPENDED:
        assert log.append([DRAFT]) == [7]
    else:
        with pytest.raises(Unavailable) as refused:
            log.append([DRAFT])
        assert (refused.value.message, refused.value.hint) == (FULL.message, FULL.hint)
    assert log.writable() == ""


def test_whoever_waits_when_front_goes_learns_that_the_outcome_is_unknown(tmp_path: Path):
    Segments.open(tmp_path, HandClock(), SeededIds(1), LogOptions("")).close()
    log = LinkedLog(tmp_path / "log", lambda *_: log.close())
    with pytest.raises(Unavailable, match="what was sent may be in the log"):
        log.append([DRAFT])
    assert log.writable() == "front is gone"
    with pytest.raises(Unavailable, match="front is gone"):
        log.append_marks([])
