# SPDX-License-Identifier: Apache-2.0
"""What dead processes left in a spool is taken over, soon, and whatever else lies there."""

import pytest
from support.sdk_post import Listed, recorder
from support.server import wait_until

from opentrail.sdk import sender as sender_module
from opentrail.sdk.spool import Spool


def left(directory, name, *records):
    """Leave ``records`` as a process that was killed does."""
    folder = directory / name
    folder.mkdir()
    (folder / "lock").touch()
    for count, record in enumerate(records):
        (folder / f"{count:012d}.ndjson").write_bytes(record + b"\n")
    return folder


def test_an_idle_process_looks_for_what_others_left(tmp_path, monkeypatch):
    monkeypatch.setattr(sender_module, "ADOPT_INTERVAL_S", 0.02)
    post = Listed()
    with recorder(post, spool=tmp_path) as trail:
        trail.record(eventName="Hello")
        assert trail.flush()
        left(tmp_path, "dead", b'{"eventID":"1"}')
        wait_until(lambda: post.records[-1]["eventID"] == "1")
        assert trail.flush()
        assert trail.counts["adopted"] == 1


def test_what_cannot_be_taken_over_keeps_nobody_from_the_rest(tmp_path, caplog):
    odd = left(tmp_path, "a", b"1")
    (odd / "lock").unlink()
    (odd / "lock").mkdir()  # as hard to open as another user's
    half = left(tmp_path, "b", b"2")
    (half / f"{1:012d}.ndjson").mkdir()
    left(tmp_path, "c", b"3")
    (tmp_path / "d").touch()
    spool = Spool(tmp_path, 1000)
    assert spool.adopt() == 2
    assert spool.adopt() == 0
    assert caplog.text.count("stays there") == 2
    assert spool.oldest() == [b"2"]
    spool.drop_oldest()
    assert spool.oldest() == [b"3"]
    spool.drop_oldest()
    assert (odd / f"{0:012d}.ndjson").read_bytes() == b"1\n"
    spool.close()


@pytest.mark.parametrize("kept", [True, False])
def test_a_spools_own_folder_is_no_other(tmp_path, kept):
    spool = Spool(tmp_path, 1000)
    spool.add([b"1"])
    if not kept:
        spool.drop_oldest()
    assert spool.adopt() == 0
    spool.close()
    assert len(list(tmp_path.iterdir())) == kept


def test_a_file_that_somebody_emptied_holds_up_no_other(tmp_path):
    spool = Spool(tmp_path, 1000)
    spool.add([b"1", b"2"])
    spool.add([b"3"])
    min(tmp_path.rglob("*.ndjson")).write_bytes(b"")
    assert spool.oldest() == [b"3"]
    assert spool.vanished() == 2
    spool.drop_oldest()
    spool.close()
    assert list(tmp_path.iterdir()) == []
