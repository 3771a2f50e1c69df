# SPDX-License-Identifier: Apache-2.0
"""``opentrail fsck``: what is sound, what is not and where, and how the index is built anew."""

import json

import pytest
from support.data_directories import data_directory, record
from support.log_files import HandClock
from support.server import OpenTrail, run
from support.terminal import lines_of, on_terminal

from opentrail.eventlog.reader import SegmentReader
from opentrail.history.index import History
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
    assert lines[1:] == ["all of it checks out"]


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
