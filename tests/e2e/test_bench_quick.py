# SPDX-License-Identifier: Apache-2.0
"""The benchmarks still run, all of them, by the one command; what they measure is not judged."""

import re
import subprocess
import sys
from pathlib import Path

from support.server import clean_environment

ROOT = Path(__file__).parents[2]
ROWS = [
    *("bare write + fdatasync", "SQLite, one a transaction", "log, 1 writer", "log, 16 writers"),
    *("log, 256 writers", "log, 1000 an append", "SQLite, 1000 a transaction"),
    *("upstream itself", "bare pass-through proxy", "opentrail's HTTP alone"),
    *("opentrail", "opentrail, back indexing"),
    *("moto, records nothing", "JSON: CreateModel", "query and XML: CreateUser"),
    *("zlib-ng 6 alone", "json and gzip 6 of Python", "delivery of one trail"),
    "delivery of five trails",
    *("validate-logs, S3", "opentrail verify, S3", "opentrail verify, here"),
    *("its inner loop, disk", "opentrail verify, disk", "GET of each object alone"),
    "GET, inflate, hash alone",
    *("opentrail, common", "SQLite, indexes, rare", "newest, 16"),
    *("visible after its answer, ms", "in the bucket after its cut, ms"),
    *("1 record a request", "100 records a request", "FastAPI, audited", "botocore, audited"),
    *("gzip + json + SQLite", "DuckDB read_json", "opentrail import"),
    *("calibration loop, ms", "write + fdatasync, ms"),
]


def bench(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench", "--directory", str(tmp_path), *arguments],
        cwd=ROOT,
        env=clean_environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


def test_one_command_measures_everything(tmp_path: Path) -> None:
    done = bench(tmp_path, "--quick", "--seconds", "0.1")
    assert done.returncode == 0, done.stderr
    for row in ROWS:
        assert re.search(rf"^  {re.escape(row)} +[\d,.]+", done.stdout, re.MULTILINE), row
    assert done.stdout.count("\ngateway: ") == 4
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_part_is_a_mistake(tmp_path: Path) -> None:
    done = bench(tmp_path, "nope")
    assert (done.returncode, done.stdout) == (2, "")
    assert "no such part: nope" in done.stderr
