# SPDX-License-Identifier: Apache-2.0
"""``opentrail fsck``: what is sound, what is not and where, and how the index is built anew."""

import json
import os

import pytest
from support.data_directories import data_directory, encoded, record
from support.log_files import HandClock
from support.seeded_ids import SeededIds
from support.server import OpenTrail, run
from support.terminal import lines_of, on_terminal

from opentrail.eventlog.base import Draft, Origin
from opentrail.eventlog.options import LogOptions
from opentrail.eventlog.reader import SegmentReader
from opentrail.eventlog.segments import Segments
from opentrail.history.index import History, Sizes
from opentrail.history.lookup import Lookup

COUNT = 100


@pytest.fixture
def home(tmp_path):
    records = [
        record(number, requestParameters={"modelName": f"m{number % 7}"}) for number in range(COUNT)
    ]
    data_directory(tmp_path / "opentrail-data", records, indexed=True)
    return tmp_path


def fsck(home, *arguments: str):
    """Return exit code and lines."""
    done = run("fsck", *arguments, home=home)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout.splitlines()


def flip(path, offset: int) -> None:
    """Damage one byte, counted from the end if negative."""
    content = bytearray(path.read_bytes())
    content[offset] ^= 0x01
    path.write_bytes(content)


def segment(home):
    (path,) = (home / "opentrail-data" / "log").glob("*.seg")
    return path


def run_file(home):
    files = (home / "opentrail-data" / "history").iterdir()
    return max(files, key=lambda path: path.stat().st_size)


def test_a_sound_directory(home):
    code, lines = fsck(home)
    assert code == 0
    assert lines[0].startswith("opentrail-data: 100 records in 10 frames, 1 segment, ")
    records = "100 appended = 100 indexed + 0 that are no events + 0 beyond retention + 0 waiting"
    assert lines[1:] == [records, "all of it checks out"]


def test_records_add_up_over_retention_kills_and_rebuilds(tmp_path):
    """Appended = indexed + no events + beyond retention + waiting, and a lost one is a finding."""
    data = tmp_path / "opentrail-data"
    options = LogOptions(disk_reserve_bytes=0, segment_bytes_max=4_000, dictionary=b"")
    clock = HandClock()
    log = Segments.open(data, clock, SeededIds(1), options)
    history = History.open(data / "history", log, clock, sizes=Sizes(flush_rows=10))
    for number in range(60):
        texts = [encoded(record(number)), b"7" if number % 5 else b'{"eventTime":"soon"}']
        log.append([Draft(Origin.INTAKE, text) for text in texts])
        while history.step():
            pass
    log.expire(2**50, log.durable_end() - 8_000)
    appended, expired = log.counts(log.first())
    assert appended == 120
    assert 0 < expired < 120
    found = accounts(tmp_path)
    assert found["waiting"] < 20, "what the memtable had when the process was killed"
    assert (found["appended"], found["beyond_retention"]) == (120, expired)
    assert found["indexed"] > 0 < found["no_event"]
    log._lock.release()
    assert fsck(tmp_path, "--rebuild")[0] == 0
    again = accounts(tmp_path)
    assert (again["appended"], again["beyond_retention"]) == (120, expired)
    texts = [entry.data for entry in SegmentReader(data / "log").entries(0)]
    assert again["no_event"] + again["waiting"] + again["indexed"] == len(texts)
    assert abs(again["indexed"] - again["no_event"]) < 20
    (data / "log" / "records.json").unlink()
    code, lines = fsck(tmp_path)
    assert code == 4
    assert "records.json: not there, so what retention deleted is not counted" in lines[1]


def accounts(home) -> dict[str, int]:
    done = run("fsck", "--json", home=home)
    assert done.returncode == 0, done.stdout
    found: dict[str, int] = json.loads(done.stdout)["records"]
    assert found["appended"] == sum(found.values()) - found["appended"]
    return found


def test_a_flipped_byte_of_the_log_is_located(home):
    path = segment(home)
    flip(path, path.stat().st_size // 2 + path.stat().st_size // 3)
    code, lines = fsck(home)
    assert code == 4
    (where,) = (line for line in lines if line.startswith("log: "))
    assert path.name in where
    assert any(char.isdigit() for char in where.partition(path.name)[2])
    assert lines[lines.index(where) + 1].startswith("  ")
    assert lines[-1] == "1 finding"


def test_every_byte_of_the_segment_counts(home):
    path = segment(home)
    sound = path.read_bytes()
    for offset in range(0, len(sound), len(sound) // 7):
        flip(path, offset)
        assert fsck(home)[0] == 4, offset
        path.write_bytes(sound)
    assert fsck(home)[0] == 0


def test_a_flipped_byte_of_the_index_says_rebuild(home):
    flip(run_file(home), -1)
    code, lines = fsck(home)
    assert code == 4
    assert any(line.startswith("history: ") and run_file(home).name in line for line in lines)
    assert lines[-2].startswith("  ")
    assert "rebuil" in lines[-2]


def test_a_rebuild_mends_the_index_and_lookups_agree(home):
    before = looked_up(home)
    assert len(before) > COUNT // 8
    flip(run_file(home), -1)
    assert fsck(home)[0] == 4
    code, lines = fsck(home, "--rebuild")
    assert code == 0
    assert lines[0].startswith("event history is built anew over ")
    assert fsck(home)[0] == 0
    assert looked_up(home) == before


def looked_up(home) -> list[str]:
    data = home / "opentrail-data"
    reader = SegmentReader(data / "log")
    history = History.open(data / "history", reader, HandClock(1_770_000_000_000))
    while history.step():
        pass
    page = history.lookup(Lookup("123456789012", "us-east-1", "Management", ("ResourceName", "m3")))
    return [found.data.decode() for found in page.events]


def test_a_rebuild_of_a_damaged_log_says_where(home):
    path = segment(home)
    flip(path, path.stat().st_size // 2 + path.stat().st_size // 3)
    done = run("fsck", "--rebuild", home=home)
    assert done.returncode == 4
    assert path.name in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_json(home):
    done = run("fsck", "--json", home=home)
    found = json.loads(done.stdout)
    assert (done.returncode, found["findings"], found["rebuilt"]) == (0, [], None)
    assert (found["log"]["records"], found["log"]["segments"]) == (COUNT, 1)
    done = run("fsck", "--json", "--rebuild", home=home)
    assert json.loads(done.stdout)["rebuilt"] > 0
    flip(segment(home), -1)
    done = run("fsck", "--json", home=home)
    (finding,) = json.loads(done.stdout)["findings"]
    assert done.returncode == 4
    assert set(finding) == {"part", "where", "what", "hint"}
    assert finding["part"] == "log"


def test_a_damaged_durable_end(home):
    flip(home / "opentrail-data" / "log" / "durable", 3)
    code, lines = fsck(home)
    assert code == 4
    assert any("durable" in line for line in lines)


def test_no_log_is_a_mistake(tmp_path):
    (tmp_path / "d" / "log").mkdir(parents=True)
    done = run("fsck", "--data", "d", home=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1


def test_training_rebuilds_nothing_and_says_so(home):
    done = run("fsck", "--train", "--rebuild", home=home)
    assert (done.returncode, done.stdout) == (2, "")
    assert "run it by itself" in done.stderr


def test_on_a_terminal_findings_are_red(home):
    flip(run_file(home), -1)
    shown = on_terminal("fsck", home=home, columns=80)
    assert "\x1b[31mhistory: " in shown
    shown = on_terminal("fsck", "--rebuild", home=home, columns=80)
    assert lines_of(shown)[-1] == "all of it checks out"


def test_beside_a_running_server_it_reads_but_does_not_rebuild(tmp_path):
    with OpenTrail(tmp_path / "data") as server:
        server.lookup()
        code, lines = fsck(tmp_path, "--data", "data")
        assert (code, lines[-1]) == (0, "all of it checks out")
        done = run("fsck", "--rebuild", "--data", "data", home=tmp_path)
        assert (done.returncode, done.stdout) == (2, "")
        assert "is in use by process" in done.stderr
        assert done.stderr.count("\n") == 1
        assert server.lookup()
    assert fsck(tmp_path, "--data", "data", "--rebuild")[0] == 0


def put_in_place(path, what):
    """Put what is no file in the place of one."""
    path.unlink()
    if what == "pipe":
        os.mkfifo(path)
    elif what == "directory":
        path.mkdir()
    else:
        path.symlink_to(path.parent / "nothing")


@pytest.mark.parametrize("name", ["durable", "00000000000000000000.seg"])
@pytest.mark.parametrize("what", ["pipe", "directory", "link to nothing"])
def test_what_is_no_file_is_told(home, name, what):
    path = home / "opentrail-data" / "log" / name
    put_in_place(path, what)
    code, lines = fsck(home)
    assert (code, name in "".join(lines)) == (4, True)


@pytest.mark.parametrize("what", ["pipe", "directory", "link to nothing"])
@pytest.mark.parametrize("name", ["run", "manifest"])
def test_searches_read_the_log_where_the_index_is_no_file(home, name, what):
    path = run_file(home) if name == "run" else home / "opentrail-data/history/manifest.json"
    put_in_place(path, what)
    code, lines = fsck(home)
    assert (code, path.name in "".join(lines)) == ((4, True) if name == "run" else (0, False))
    done = run("search", "--count", "--event-name", "CreateModel", home=home)
    assert (done.returncode, done.stdout) == (0, f"{COUNT}\n")
