# SPDX-License-Identifier: Apache-2.0
"""`opentrail import` as a user runs it: folders, buckets, killed and run again, then searched."""

import gzip
import json
import os
import shutil
import signal
import subprocess
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from support import server as servers
from support.aws_clients import Key, client
from support.server import PROGRAM, clean_environment

from bench.events import Span, events
from opentrail.eventlog.base import Origin
from opentrail.eventlog.reader import SegmentReader
from opentrail.imports.importer import READER
from opentrail.state.base import Change
from opentrail.state.sqlite import SqliteState

START_MS = 1_769_853_600_000
"""2026-01-31T10:00:00Z."""
FILES, PER_FILE = 30, 400
KEY = Key("123456789012", "of-no-value")


@pytest.fixture(scope="module")
def made() -> list[bytes]:
    return list(events(FILES * PER_FILE, Span(START_MS, PER_FILE / 60)))


@pytest.fixture(scope="module")
def folder(made: list[bytes], tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("logs")
    for number in range(FILES):
        chunk = made[number * PER_FILE : (number + 1) * PER_FILE]
        minute = f"20260131T10{number:02}Z"
        path = root / "AWSLogs/123456789012/CloudTrail/us-east-1/2026/01/31"
        path.mkdir(parents=True, exist_ok=True)
        name = f"123456789012_CloudTrail_us-east-1_{minute}_abcdefghij{number:06}.json.gz"
        (path / name).write_bytes(gzip.compress(b'{"Records":[' + b",".join(chunk) + b"]}"))
    return root


def records(data: Path) -> Counter[bytes]:
    reader = SegmentReader(data / "log")
    try:
        found = list(reader.entries(0))
    finally:
        reader.close()
    assert {entry.origin for entry in found} == {Origin.IMPORT}
    return Counter(entry.data for entry in found)


def summary(*arguments: str, home: Path, code: int = 0) -> dict[str, int]:
    done = servers.run("import", *arguments, "--json", home=home)
    assert done.returncode == code, done.stderr
    found: dict[str, int] = json.loads(done.stdout)
    kinds = ("imported", "duplicates", "outside", "quarantined")
    assert found["records"] == sum(found[kind] for kind in kinds)
    return found


def test_killed_and_run_again_each_record_is_there_once(
    made: list[bytes], folder: Path, tmp_path: Path
):
    data = tmp_path / "data"
    command = [PROGRAM, "import", str(folder), "--data", str(data)]
    for wait_s in (0.6, 0.8, 1.0):
        running = subprocess.Popen(command, env=clean_environment(tmp_path))
        time.sleep(wait_s)
        running.kill()
        running.wait()
    summary(str(folder), "--data", str(data), home=tmp_path)
    assert records(data) == Counter(made)
    assert servers.run("fsck", "--data", str(data), home=tmp_path).returncode == 0

    again = summary(str(folder), "--data", str(data), home=tmp_path)
    assert (again["files"], again["files_before"], again["imported"]) == (0, FILES, 0)
    one = made[0]
    name = json.loads(one)["eventID"]
    found = servers.run(
        "search", "--data", str(data), "--event-id", name, "--format", "ndjson", home=tmp_path
    )
    assert found.stdout.encode() == one + b"\n"


def test_a_bucket_is_read_as_far_as_its_paths_say(moto_url: str, folder: Path, tmp_path: Path):
    s3 = client("s3", moto_url, KEY)
    s3.create_bucket(Bucket="import-logs")
    for path in folder.rglob("*.gz"):
        s3.put_object(
            Bucket="import-logs", Key=str(path.relative_to(folder)), Body=path.read_bytes()
        )
    s3.put_object(
        Bucket="import-logs",
        Key="AWSLogs/123456789012/CloudTrail-Digest/us-east-1/2026/01/31/123456789012_CloudTrail-Digest"
        "_us-east-1_audit_us-east-1_20260131T100000Z.json.gz",
        Body=b"{}",
    )
    environment = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y"}
    arguments = ["import", "s3://import-logs/AWSLogs", "--endpoint-url", moto_url]
    arguments += ["--data", str(tmp_path / "data"), "--from", "2026-01-31T10:20:00Z", "--json"]
    done = servers.run(*arguments, home=tmp_path, environment=environment)
    found = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert found["left_out"]["digests"] == 1
    assert found["left_out"]["pruned"] == 15
    assert found["files"] == FILES - 15
    assert found["outside"] > 0
    seen = records(tmp_path / "data")
    assert min(json.loads(each)["eventTime"] for each in seen) == "2026-01-31T10:20:00Z"
    assert sum(seen.values()) == found["imported"]

    nowhere = servers.run(
        "import", "s3://no-such-bucket", "--endpoint-url", moto_url, home=tmp_path,
        environment=environment,
    )  # fmt: skip
    assert nowhere.returncode == 2
    assert "NoSuchBucket" in nowhere.stderr


def test_what_cannot_be_read_is_listed_and_the_rest_is_imported(folder: Path, tmp_path: Path):
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    whole = next(folder.rglob("*000000.json.gz")).read_bytes()
    (mixed / "whole.json.gz").write_bytes(whole)
    (mixed / "copy.json.gz").write_bytes(whole)
    (mixed / "cut.json.gz").write_bytes(whole[:-100])
    (mixed / "bad.json").write_bytes(b'{"Records":[{"eventTime":"soon"}]}\n')
    found = summary(str(mixed), "--data", str(tmp_path / "data"), home=tmp_path, code=1)
    assert (found["imported"], found["quarantined"]) == (400, 2)
    # Of the file that is cut short, what lies before the cut is read.
    assert 400 + 300 < found["duplicates"] < 400 + 400
    lines = (tmp_path / "data" / "quarantine.ndjson").read_text().splitlines()
    reasons = {Path(line["file"]).name: line["reason"] for line in map(json.loads, lines)}
    assert set(reasons) == {"cut.json.gz", "bad.json"}
    assert "cut short" in reasons["cut.json.gz"]
    assert "no readable eventTime" in reasons["bad.json"]


def test_a_bad_record_costs_only_itself(made: list[bytes], tmp_path: Path):
    half = made[0].replace(b'"eventSource"', rb'"later":"\ud83d","eventSource"')
    bad = made[1].replace(b'"eventSource"', b'"later":NaN,"eventSource"')
    for name, form in (("a.json", b'{"Records":[%b]}'), ("b.json", b"[%b]"), ("c.json", b"%b")):
        some = b",".join([made[2], half, bad, made[3]])
        (tmp_path / name).write_bytes(
            form % (some if name < "c" else some.replace(b"},{", b"}\n{"))
        )
    found = summary(str(tmp_path), "--data", str(tmp_path / "data"), home=tmp_path, code=1)
    assert (found["imported"], found["duplicates"], found["quarantined"]) == (3, 6, 3)
    assert records(tmp_path / "data") == Counter([made[2], half, made[3]])
    lines = (tmp_path / "data" / "quarantine.ndjson").read_text().splitlines()
    for line in map(json.loads, lines):
        assert line["record"] == 2
        at = line["position"]
        assert Path(line["file"]).read_bytes()[at : at + len(bad)] == bad
        assert "JSON is malformed" in line["reason"]


def test_what_a_newer_reader_may_read_is_read_again(made: list[bytes], tmp_path: Path):
    data, logs = tmp_path / "data", tmp_path / "logs"
    logs.mkdir()
    action = b'{"index":{"_index":"cloudtrail"}}'
    for name, last in (("good.json", made[1]), ("bad.json", b'{"eventTime":NaN}')):
        (logs / name).write_bytes(b"\n".join([action, made[0], action, last]))
    found = summary(str(logs), "--data", str(data), home=tmp_path, code=1)
    assert (found["imported"], found["duplicates"], found["quarantined"]) == (2, 1, 1)
    assert found["beside"] == 4
    (line,) = map(json.loads, (data / "quarantine.ndjson").read_text().splitlines())
    assert (Path(line["file"]).name, line["record"]) == ("bad.json", 1)

    again = summary(str(logs), "--data", str(data), home=tmp_path)
    assert (again["files"], again["files_before"]) == (0, 2)
    with closing(SqliteState.open(data / "state.db")) as state:
        now = b'"reader":%d' % READER
        older = [
            Change(entry.key, entry.value.replace(now, b'"reader":0'), entry.version)
            for entry in state.scan("import/")
        ]
        state.commit(older)
    again = summary(str(logs), "--data", str(data), home=tmp_path, code=1)
    assert (again["files"], again["files_before"], again["duplicates"]) == (1, 1, 1)


def test_pipes_are_read_and_archives_are_named(made: list[bytes], tmp_path: Path):
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "a.tar.gz").write_bytes(b"")
    command = [PROGRAM, "import", "/dev/stdin", "logs", "--data", "data", "--json"]
    for duplicates in (0, 2):
        done = subprocess.run(
            command,
            input=gzip.compress(b"\n".join(made[:2])),
            cwd=tmp_path,
            env=clean_environment(tmp_path),
            capture_output=True,
            check=False,
        )
        assert done.returncode == 1, done.stderr
        found = json.loads(done.stdout)
        assert (found["files"], found["records"], found["duplicates"]) == (1, 2, duplicates)
        assert found["bytes"] > 100
        assert [Path(each).name for each in found["left_out"]["archives"]] == ["a.tar.gz"]
    shown = servers.run("import", "logs", "--data", "data", home=tmp_path)
    assert shown.returncode == 1
    assert "1 archives, of which nothing was read: unpack them first" in shown.stdout
    assert "logs/a.tar.gz" in shown.stderr


def test_interrupted_it_says_what_is_done_and_how_to_go_on(made: list[bytes], tmp_path: Path):
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "a.json").write_bytes(b'{"Records":[' + b",".join(made[:5000]) + b"]}")
    os.mkfifo(tmp_path / "pipe")  # nobody writes: that is when it is interrupted
    command = [PROGRAM, "import", "logs", "pipe", "--data", "data", "--json"]
    running = subprocess.Popen(
        command,
        cwd=tmp_path,
        env=clean_environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with (tmp_path / "pipe").open("wb"):  # returns when it is opened to be read
        servers.wait_until((tmp_path / "data" / "quarantine.ndjson").exists)
        running.send_signal(signal.SIGINT)
    said, hint = running.communicate(timeout=20)
    assert running.returncode == 130
    assert hint == "interrupted: what is counted is done; run the same again to go on\n"
    found = json.loads(said)
    assert found["files"] + found["files_left"] == 2
    again = summary("logs", "--data", "data", home=tmp_path)
    assert again["files_before"] + again["files"] == 1
    assert records(tmp_path / "data") == Counter(made[:5000])


def test_an_earlier_quarantine_is_mentioned(tmp_path: Path):
    (tmp_path / "a.json").write_bytes(b'{"a":1}\n{"b":1}\n')
    (tmp_path / "opentrail-import").mkdir()
    quarantine = tmp_path / "opentrail-import" / "quarantine.ndjson"
    quarantine.write_bytes(b'{"file":')  # the power failed
    assert servers.run("import", "a.json", home=tmp_path).returncode == 1
    half, *lines = quarantine.read_bytes().splitlines()
    assert half == b'{"file":'
    assert [json.loads(line)["record"] for line in lines] == [0, 1]
    done = servers.run("import", "a.json", home=tmp_path)
    assert done.returncode == 0
    said = "earlier  3 that could not be read: opentrail-import/quarantine.ndjson\n"
    assert done.stdout.endswith(said)
    assert summary("a.json", home=tmp_path)["quarantined_before"] == 3


def test_what_cannot_be_is_refused(tmp_path: Path):
    (tmp_path / "file").touch()
    done = servers.run("import", "file", "--data", "file/data", home=tmp_path)
    assert (done.returncode, "file/data cannot be made: Not a dir" in done.stderr) == (2, True)
    times = ("--from", "2026-02-01", "--to", "2026-01-31")
    done = servers.run("import", "file", *times, home=tmp_path)
    assert (done.returncode, "--from 2026-02-01 is later than" in done.stderr) == (2, True)
    for path, said in (("", "a path is empty"), ("x" * 300, "cannot be read: File name too long")):
        done = servers.run("import", path, home=tmp_path)
        assert (done.returncode, said in done.stderr) == (2, True)
    done = servers.run("import", "file", "--account", "1234-5678-9012", home=tmp_path)
    assert (done.returncode, "is not twelve digits" in done.stderr) == (2, True)
    assert not (tmp_path / "opentrail-import").exists()


def test_files_are_done_for_the_log_that_has_their_records(made: list[bytes], tmp_path: Path):
    (tmp_path / "a.json").write_bytes(made[0])
    data = tmp_path / "opentrail-import"
    assert summary("a.json", home=tmp_path)["imported"] == 1
    shutil.rmtree(data / "log")
    assert summary("a.json", home=tmp_path)["imported"] == 1
    assert records(data) == Counter(made[:1])


def test_a_directory_in_use_and_a_path_that_is_not_there(tmp_path: Path):
    with servers.OpenTrail(tmp_path / "data"):
        done = servers.run("import", str(tmp_path), "--data", "data", home=tmp_path)
    assert (done.returncode, "is in use by process" in done.stderr) == (2, True)
    done = servers.run("import", "nowhere", home=tmp_path)
    assert (done.returncode, "no file or directory nowhere" in done.stderr) == (2, True)
    assert not (tmp_path / "opentrail-import").exists()
