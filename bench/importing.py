# SPDX-License-Identifier: Apache-2.0
"""Importing a folder of log files, beside what else makes them searchable, each in a process of its own.

Every subject ends with the records on disk, and with columns for what one looks events up by.
OpenTrail also indexes them, looks for duplicates and has them durable; the others do not.
"""

import gzip
import itertools
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.events import Span, events
from bench.machine import spread_percent
from bench.peers import VENV

EVENTS_A_SECOND = 40_000
"""Made for each second that is to be measured: about what the quickest takes in."""
FILE_EVENTS = 2_000
"""Some 3 MB unpacked: a busy account's five minutes."""
CHDB = "chdb==4.4.0"
_START_MS = 1_790_000_000_000

_COLUMNS = {
    "eventTime": "TEXT",
    "eventName": "TEXT",
    "eventSource": "TEXT",
    "eventID": "TEXT",
    "awsRegion": "TEXT",
}
_NAMES = ", ".join(_COLUMNS)

DUCKDB = """
import sys, duckdb
files, out = sys.argv[1:]
db = duckdb.connect(out + "/events.duckdb")
db.execute("CREATE TABLE events AS SELECT unnest(Records, max_depth := 2) FROM read_json(?)", [files])
db.close()
"""
"""DuckDB's documents, "Loading JSON": read_json finds the schema by itself."""

CHDB_CODE = f"""
import sys
from chdb import session
files, out = sys.argv[1:]
db = session.Session(out + "/chdb")
fields = ", ".join(f"JSONExtractString(record, '{{name}}') AS {{name}}" for name in "{_NAMES}".split(", "))
db.query("CREATE DATABASE logs ENGINE = Atomic")
db.query(
    "CREATE TABLE logs.events ENGINE = MergeTree ORDER BY eventTime AS SELECT " + fields + ", record FROM"
    " (SELECT arrayJoin(JSONExtractArrayRaw(json, 'Records')) AS record"
    f" FROM file('{{files}}', 'JSONAsString'))"
)
"""
"""ClickHouse's documents, "Working with JSON": JSONAsString, and functions that extract."""

SQLITE = f"""
import glob, gzip, json, sqlite3, sys
files, out = sys.argv[1:]
names = "{_NAMES}".split(", ")
db = sqlite3.connect(out + "/events.sqlite")
db.execute("CREATE TABLE events ({_NAMES}, record)")
for path in sorted(glob.glob(files)):
    with gzip.open(path) as file:
        records = json.load(file)["Records"]
    rows = [[each.get(name) for name in names] + [json.dumps(each)] for each in records]
    with db:
        db.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)", rows)
db.close()
"""
"""What a script does with Python's own gzip, json and sqlite3: a transaction for each file, no index."""

OPENTRAIL = """
import sys
from opentrail.cli.main import main
sys.argv[1:] = ["import", sys.argv[1].rpartition("/")[0], "--data", sys.argv[2]]
main()
"""


FLOOR = """
import glob, os, sys
import msgspec, numpy
from xxhash import xxh3_64_intdigest
from opentrail.eventlog.blob import DICTIONARY_PATH, BlobCodec
from opentrail.history.indexed import Indexed
from opentrail.imports.ungzip import unpacked
from opentrail.imports.unpack import plain_records
take = msgspec.json.Decoder(Indexed).decode
codec = BlobCodec(DICTIONARY_PATH.read_bytes())
hashes = []
with open(sys.argv[2] + "/log", "wb") as log:
    for path in sorted(glob.glob(sys.argv[1])):
        with open(path, "rb") as file:
            records = plain_records(b"".join(unpacked([file.read()])))
        hashes += [xxh3_64_intdigest(take(record).event_id.encode()) for record in records]
        log.writelines(codec.compress(records))
    os.fdatasync(log.fileno())
numpy.argsort(numpy.array(hashes, "u8"))
"""
"""What our import cannot leave out in Python: gunzip, split, compress each, take the indexed fields,
one hash for each sorted, one fdatasync. No frame, no checksum, no index, nothing told from what is there."""


_LAUNCHER = """
import os, sys, time
began = time.perf_counter()
quiet = (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=[quiet])
_, status, used = os.wait4(pid, 0)
took = time.perf_counter() - began
print(took, used.ru_utime + used.ru_stime, used.ru_maxrss, os.waitstatus_to_exitcode(status))
"""
"""Starts a subject. Linux counts what its starter has in memory as a program's own (getrusage(2)): that
must be little, and this process has a lot."""


@dataclass(frozen=True)
class _Subject:
    name: str
    code: str
    python: str = sys.executable


@dataclass(frozen=True)
class _Figures:
    wall_s: float
    cpu_s: float
    memory_mib: float


def make(folder: Path, count: int) -> int:
    """Write log files of ``count`` events into ``folder``; return their bytes."""
    made = events(count, Span(_START_MS))
    size = 0
    for number in itertools.count():
        chunk = list(itertools.islice(made, FILE_EVENTS))
        if not chunk:
            return size
        minute = f"20260922T{number // 60 % 24:02}{number % 60:02}Z"
        name = f"123456789012_CloudTrail_us-east-1_{minute}_bench{number:011}.json.gz"
        packed = gzip.compress(b'{"Records":[' + b",".join(chunk) + b"]}", 6)
        (folder / name).write_bytes(packed)
        size += len(packed)
    raise AssertionError


def _measure(subject: _Subject, folder: Path, out: Path) -> _Figures:
    """Run one import. The figures are those of the process and all that it started."""
    out.mkdir()
    program = [subject.python, "-c", subject.code, f"{folder}/*.json.gz", str(out)]
    done = subprocess.run(
        [sys.executable, "-IS", "-c", _LAUNCHER, *program],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        check=True,
    )
    wall_s, cpu_s, largest, returncode = map(float, done.stdout.split())
    if returncode:
        raise RuntimeError(f"{subject.name} ended with {returncode:.0f}")
    shutil.rmtree(out)
    return _Figures(wall_s, cpu_s, largest / (2**20 if sys.platform == "darwin" else 2**10))


def _subjects(*, install: bool) -> list[_Subject]:
    found = [
        _Subject("gzip + json + SQLite", SQLITE),
        _Subject("DuckDB read_json", DUCKDB),
        _Subject("our floor", FLOOR),
        _Subject("opentrail import", OPENTRAIL),
    ]
    python = VENV / "bin" / "python"
    if install and installed(python):
        found.insert(2, _Subject("chdb", CHDB_CODE, str(python)))
    else:
        print(f"{CHDB} is not installed: its row is missing", file=sys.stderr)
    return found


def installed(python: Path) -> bool:
    """Install chdb beside the project, once; False when that cannot be done now."""
    commands = (
        [sys.executable, "-m", "venv", str(VENV)],
        [str(python), "-m", "pip", "install", "--quiet", CHDB],
    )
    return all(subprocess.run(command, check=False).returncode == 0 for command in commands)


def run(directory: Path, rounds: int, seconds: float) -> None:
    """Measure and print."""
    count = max(int(EVENTS_A_SECOND * seconds), FILE_EVENTS)
    folder = directory / "import-logs"
    folder.mkdir()
    size = make(folder, count)
    subjects = _subjects(install=seconds >= 1)
    figures: dict[str, list[_Figures]] = {each.name: [] for each in subjects}
    for _ in range(rounds):
        for subject in subjects:
            measured = _measure(subject, folder, directory / "import-out")
            figures[subject.name].append(measured)
    shutil.rmtree(folder)
    print(f"\nimport: {count:,} events of 1.4 KB, {size / 2**20:.1f} MiB of .json.gz files")
    titles = ("CPU us", "spread", "ratio", "wall us", "ratio", "MiB")
    print(" " * 26 + "".join(f"{title:>9}" for title in titles))
    last = figures[subjects[-1].name]
    for name, found in figures.items():
        _row(name, found, last, count)


def _row(name: str, found: Sequence[_Figures], ours: Sequence[_Figures], count: int) -> None:
    cpu = [each.cpu_s for each in found]
    wall = [each.wall_s for each in found]
    cpu_us = statistics.median(cpu) / count * 1e6
    wall_us = statistics.median(wall) / count * 1e6
    cpu_ratio = statistics.median(a / b.cpu_s for a, b in zip(cpu, ours, strict=True))
    wall_ratio = statistics.median(a / b.wall_s for a, b in zip(wall, ours, strict=True))
    memory = max(each.memory_mib for each in found)
    print(
        f"  {name:<24}{cpu_us:>9.1f}{spread_percent(cpu):>8.0f}%{cpu_ratio:>9.2f}"
        f"{wall_us:>9.1f}{wall_ratio:>9.2f}{memory:>9.0f}"
    )
