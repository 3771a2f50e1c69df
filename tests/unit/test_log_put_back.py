# SPDX-License-Identifier: Apache-2.0
"""An older copy of the log under a state that has followed more of it: nobody goes on as if all were there."""

import json
import shutil

import pytest
from support.data_directories import encoded, record
from support.log_files import HandClock
from support.seeded_ids import SeededIds
from support.server import run

from opentrail.errors import Corrupt
from opentrail.eventlog.base import Draft, Origin
from opentrail.eventlog.options import LogOptions
from opentrail.eventlog.segments import Segments
from opentrail.front.datadir import whole
from opentrail.state.base import Change
from opentrail.state.sqlite import SqliteState

OPTIONS = LogOptions(disk_reserve_bytes=0)


def opened(data):
    return Segments.open(data, HandClock(), SeededIds(1), OPTIONS)


def append(log):
    log.append([Draft(Origin.CAPTURE, encoded(record(number))) for number in range(3)])
    return log.durable_end()


@pytest.fixture
def data(tmp_path):
    """A data directory whose log was put back from a copy, and ends at ``copied``."""
    data = tmp_path / "opentrail-data"
    log = opened(data)
    append(log)
    log.close()
    shutil.copytree(data / "log", tmp_path / "copy")
    log = opened(data)
    append(log)
    log.close()
    return data


def followed(data, **values):
    """Let state have followed the log to its end; return that end."""
    log = opened(data)
    end = log.durable_end()
    applied = {"log_id": log.log_id, "position": 0, "cut_ms": 0} | values.get("applied", {})
    state = SqliteState.open(data / "state.db")
    changes = {"trails/applied": json.dumps(applied).encode()}
    changes |= {key: str(end).encode() for key in values.get("cursors", ())}
    state.commit([Change(key, value, None) for key, value in changes.items()])
    state.close()
    log.close()
    return end


def put_back(data):
    shutil.rmtree(data / "log")
    shutil.copytree(data.parent / "copy", data / "log")


@pytest.mark.parametrize("how", ["applied", "cursor"])
def test_a_server_does_not_start_on_a_log_that_was_longer(data, how):
    log = opened(data)
    end = log.durable_end()
    log.close()
    cursors = ["cursor/1", "cursor/2"] if how == "cursor" else []
    assert followed(data, applied={"position": end} if how == "applied" else {}, cursors=cursors)
    log = whole(opened(data), data)
    log.close()
    put_back(data)
    log = opened(data)
    with pytest.raises(Corrupt, match=f"to position {end}, and the log ends at") as error:
        whole(log, data)
    assert "copies of one time" in error.value.hint
    done = run("fsck", home=data.parent)
    assert (done.returncode, "records are lost" in done.stdout) == (4, True)
    served = run("serve", "--listen", "127.0.0.1:0", home=data.parent)
    assert (served.returncode, "records are lost" in served.stderr) == (4, True)


def test_another_log_or_a_damaged_state_is_for_others_to_tell(data):
    followed(data, applied={"log_id": "another", "position": 1 << 40})
    log = whole(opened(data), data)
    log.close()
    (data / "state.db").write_bytes(b"x" * 4096)
    whole(opened(data), data).close()


def test_an_import_does_not_go_on_in_a_log_that_was_longer(tmp_path):
    data = tmp_path / "imported"
    for number in range(2):
        (tmp_path / f"{number}.json").write_bytes(encoded(record(number)))
        done = run("import", f"{number}.json", "--data", str(data), home=tmp_path)
        assert done.returncode == 0
        if not number:
            shutil.copytree(data / "log", tmp_path / "copy")
    shutil.rmtree(data / "log")
    shutil.copytree(tmp_path / "copy", data / "log")
    done = run("import", "0.json", "1.json", "--data", str(data), home=tmp_path)
    assert (done.returncode, "records are lost" in done.stderr) == (4, True)
    assert run("fsck", "--data", str(data), home=tmp_path).returncode == 4
    (data / "state.db").unlink()
    done = run("import", "0.json", "1.json", "--data", str(data), "--json", home=tmp_path)
    found = json.loads(done.stdout)
    assert (found["imported"], found["duplicates"]) == (1, 1)


def test_what_lies_past_the_durable_end_is_told(data):
    """An older ``durable``: all is there, and the next start takes it up. So it may be after a power loss."""
    followed(data, cursors=["cursor/1"])
    shutil.copy(data.parent / "copy" / "durable", data / "log" / "durable")
    done = run("fsck", home=data.parent)
    assert done.returncode == 0
    assert "bytes past the durable end" in done.stdout
    assert "lost" not in done.stdout
    whole(opened(data), data).close()
    assert "past the durable end" not in run("fsck", home=data.parent).stdout
