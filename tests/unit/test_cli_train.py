# SPDX-License-Identifier: Apache-2.0
"""``opentrail fsck --train``: a dictionary of one's own records, measured, kept, and survived."""

import json

import pytest
from support.brittle_files import BrittleFiles, Fault, Killed
from support.data_directories import data_directory, record
from support.log_files import HandClock
from support.seeded_ids import SeededIds
from support.server import run

from opentrail.eventlog import dictionary
from opentrail.eventlog.base import Draft, Origin
from opentrail.eventlog.blob import DICTIONARY_PATH
from opentrail.eventlog.options import LogOptions
from opentrail.eventlog.reader import SegmentReader
from opentrail.eventlog.segment import list_firsts
from opentrail.eventlog.segments import Segments
from opentrail.eventlog.training import SAMPLES_MIN


def own_record(number: int):
    """A record with much in common that OpenTrail's dictionary has never seen."""
    common = {f"ourOwnParameter{n}": f"ourOwnValue-{n * 7919}" for n in range(12)}
    return record(number % 3000, requestParameters=common, userAgent=f"our-own-tool/{number}")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    data_directory(home / "opentrail-data", [own_record(n) for n in range(SAMPLES_MIN + 400)])
    return home


def dictionaries(home) -> list[bytes]:
    log_dir = home / "opentrail-data" / "log"
    reader = SegmentReader(log_dir)
    return [reader.segment_header(first).dictionary for first in list_firsts(log_dir)]


def append(home, number: int) -> None:
    options = LogOptions(disk_reserve_bytes=0)
    log = Segments.open(home / "opentrail-data", HandClock(), SeededIds(2), options)
    log.append([Draft(Origin.CAPTURE, json.dumps(own_record(number)).encode())])
    log.close()


def test_a_dictionary_of_ones_own_is_measured_kept_and_used(written):
    before = [entry.data for entry in SegmentReader(written / "opentrail-data" / "log").entries(0)]
    done = run("fsck", "--train", home=written)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "trained on 1,800 records, measured on 600 newer ones"
    names = [line[:18].strip() for line in lines[1:-1]]
    assert names == ["dictionary", "none", "OpenTrail's own", "trained now"]
    sizes = [float(line[18:33]) for line in lines[2:-1]]
    assert sizes[2] < 0.5 * sizes[1] < 0.5 * sizes[0]
    assert lines[-1].startswith("kept for new segments, a running server's too: it saves ")

    append(written, 1)
    append(written, 2)
    shipped, own = dictionaries(written)
    assert shipped == DICTIONARY_PATH.read_bytes()
    assert own == dictionary.load(written / "opentrail-data" / "log")
    after = [entry.data for entry in SegmentReader(written / "opentrail-data" / "log").entries(0)]
    assert after[: len(before)] == before
    assert len(after) == len(before) + 2
    assert run("fsck", home=written).returncode == 0

    done = run("fsck", "--train", "--json", home=written)
    assert done.returncode == 1, "the second is hardly better than the first"
    found = json.loads(done.stdout)
    assert (found["kept"], len(found["figures"])) == (False, 4)
    assert [each["name"] for each in found["figures"]][2:] == ["trained before", "trained now"]


def test_too_few_records_are_said_to_be(tmp_path):
    data_directory(tmp_path / "opentrail-data", [own_record(n) for n in range(50)])
    done = run("fsck", "--train", home=tmp_path)
    assert (done.returncode, done.stdout) == (1, "not kept: it takes 2,000 records\n")
    assert dictionary.load(tmp_path / "opentrail-data" / "log") is None


@pytest.mark.parametrize("fault", Fault)
def test_a_crash_leaves_the_one_before_or_the_new_one(tmp_path, fault):
    old, new = b"old" * 100, b"new" * 1000
    for change in range(1, 7):
        dictionary.store(tmp_path, old)
        files = BrittleFiles()
        files.break_at(change, fault)
        try:
            dictionary.store(tmp_path, new, files)
        except (Killed, OSError):
            pass
        assert dictionary.load(tmp_path) in (old, new)


@pytest.mark.parametrize(
    "content", [b"", b"x", b"\xff" * 4, b"\x37\xa4\x30\xec broken", b"\0" * 2**21]
)
def test_a_damaged_dictionary_stops_nothing_and_is_a_finding(tmp_path, content):
    data_directory(tmp_path / "opentrail-data", [own_record(0)])
    (tmp_path / "opentrail-data" / "log" / "dictionary").write_bytes(content)
    append(tmp_path, 1)
    assert dictionaries(tmp_path) == [DICTIONARY_PATH.read_bytes()]
    done = run("fsck", home=tmp_path)
    assert done.returncode == 4
    assert "dictionary: not the dictionary that was trained" in done.stdout
