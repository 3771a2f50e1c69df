# SPDX-License-Identifier: Apache-2.0
"""`opentrail import --server`: into a running server's log; found there, and never delivered."""

import gzip
import json
import socket
import subprocess
import threading
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support import server as servers
from support.aws_clients import Key
from support.server import PROGRAM, OpenTrail, clean_environment, wait_until

from bench.events import Span, events
from opentrail.clock import SystemClock
from opentrail.errors import ClientError, Unavailable
from opentrail.event.caps import RECORD_BYTES_MAX
from opentrail.eventlog.base import Origin
from opentrail.eventlog.reader import SegmentReader
from opentrail.front import importing
from opentrail.imports import sink_server
from opentrail.imports.sink_server import Server, ServerSink
from opentrail.sdk.signing import Credentials

FILES, PER_FILE = 12, 700
READER = Key("READERACCESSKEY0", "secret-of-reader")
OWN = Key("OWNACCOUNTSKEY00", "secret-of-own")
CONFIG = f"""
accounts = ["444455556666"]
[delivery]
file_interval_s = 0.3
[access_keys.{READER.access_key_id}]
secret_access_key = "{READER.secret_access_key}"
user_name = "reader"
policies = ["CloudTrailReadOnlyAccess"]
[access_keys.{OWN.access_key_id}]
secret_access_key = "{OWN.secret_access_key}"
user_name = "own"
account = "444455556666"
policies = ["OpenTrailImportAccess"]
"""
OLD = b'{"eventVersion":"1.0","eventTime":"2013-11-13T10:00:00Z","eventName":"OldCall","userIdentity":{"accountId":"123456789012"},"awsRegion":"us-east-1"}'
ANSWER = b'{"logId":"log","imported":0,"duplicates":[],"refused":[]}'
BAD = b'{"eventTime":"soon"}'


@pytest.fixture(scope="module")
def made() -> list[bytes]:
    start_ms = SystemClock().now_ms() - 24 * 3600 * 1000
    return [*events(FILES * PER_FILE, Span(start_ms, 10.0)), OLD]


@pytest.fixture(scope="module")
def folder(made: list[bytes], tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("logs")
    for number in range(FILES):
        chunk = made[number * PER_FILE : (number + 1) * PER_FILE]
        body = b'{"Records":[' + b",".join(chunk) + b"]}"
        (root / f"{number:02}.json.gz").write_bytes(gzip.compress(body))
    (root / "odd.json").write_bytes(b'{"Records":[' + OLD + b"," + BAD + b"]}")
    return root


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory):
    with OpenTrail(tmp_path_factory.mktemp("into") / "data", config=CONFIG) as found:
        trail = found.client("cloudtrail")
        trail.create_trail(Name="audit", S3BucketName="audit-logs", IsMultiRegionTrail=True)
        trail.start_logging(Name="audit")
        yield found


def environment(key: Key) -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": key.access_key_id,
        "AWS_SECRET_ACCESS_KEY": key.secret_access_key,
    }


def imported(server: OpenTrail, home: Path, *arguments: str, key: Key | None = None) -> Any:
    return servers.run(
        *("import", "--server", server.endpoint, "--json", *arguments),
        home=home,
        environment=environment(key or server.admin),
    )


def summary(server: OpenTrail, home: Path, *arguments: str, code: int = 0) -> dict[str, Any]:
    done = imported(server, home, *arguments)
    assert done.returncode == code, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    kinds = ("imported", "duplicates", "outside", "quarantined")
    assert found["records"] == sum(found[kind] for kind in kinds)
    return found


def in_log(server: OpenTrail) -> Counter[bytes]:
    reader = SegmentReader(server.data / "log")
    try:
        return Counter(each.data for each in reader.entries(0) if each.origin is Origin.IMPORT)
    finally:
        reader.close()


def has_imported(server: OpenTrail, least: int) -> bool:
    return in_log(server).total() >= least


def delivered(server: OpenTrail) -> list[dict[str, Any]]:
    files = (server.data / "buckets" / "audit-logs").rglob("*_CloudTrail_*.json.gz")
    return [
        each for path in files for each in json.loads(gzip.decompress(path.read_bytes()))["Records"]
    ]


def test_records_are_found_and_never_delivered_whatever_is_interrupted(
    server: OpenTrail, made: list[bytes], folder: Path, tmp_path: Path
):
    command = [PROGRAM, "import", str(folder), "--server", server.endpoint]
    for least in (500, 2500):
        running = subprocess.Popen(
            command, env={**clean_environment(tmp_path), **environment(server.admin)}, cwd=tmp_path
        )
        wait_until(partial(has_imported, server, least), seconds_max=20)
        running.kill()
        running.wait()
    server.kill_back()
    first = summary(server, tmp_path, str(folder), code=1)
    assert first["quarantined"] == 1
    assert in_log(server) == Counter(made)
    assert "no readable eventTime" in (tmp_path / "opentrail-import/quarantine.ndjson").read_text()

    again = summary(server, tmp_path, str(folder))
    assert (again["files"], again["files_before"]) == (0, FILES + 1)
    anew = summary(server, tmp_path, str(folder), "--data", "other", code=1)
    assert (anew["imported"], anew["duplicates"]) == (0, len(made))
    assert in_log(server) == Counter(made)

    one = json.loads(made[0])
    attribute = {"AttributeKey": "EventId", "AttributeValue": one["eventID"]}
    (found,) = server.lookup(region=one["awsRegion"], LookupAttributes=[attribute])
    assert found["CloudTrailEvent"].encode() == made[0]
    old = servers.run(
        "search", "--data", str(server.data), "EventName=OldCall", "--format", "ndjson",
        home=tmp_path,
    )  # fmt: skip
    assert old.stdout.encode() == OLD + b"\n"

    # What was captured after the import is delivered, and then all before it was due, too.
    name = "after-the-import"
    server.client("cloudtrail").create_trail(Name=name, S3BucketName="audit-logs")
    wait_until(lambda: name in json.dumps(delivered(server)))
    ids = {json.loads(each).get("eventID", "") for each in made}
    assert not [each for each in delivered(server) if each["eventID"] in ids]
    told = [each for each in server.events() if each["eventName"] == "ImportEvents"]
    assert sum(each["responseElements"]["imported"] for each in told) == len(made)
    assert {each["userIdentity"]["userName"] for each in told} == {"opentrail-admin"}


def test_what_the_server_delivered_itself_is_there_already(server: OpenTrail, tmp_path: Path):
    bucket = server.data / "buckets" / "audit-logs"
    wait_until(lambda: len(delivered(server)) > 3)
    found = summary(server, tmp_path, str(bucket))
    assert found["imported"] == 0
    assert found["duplicates"] > 3


def test_who_may_import(server: OpenTrail, folder: Path, tmp_path: Path):
    one = str(folder / "00.json.gz")
    done = imported(server, tmp_path, one, key=READER)
    assert (done.returncode, "opentrail:ImportRecords" in done.stderr) == (2, True), done.stderr
    wrong = Key(server.admin.access_key_id, "wrong")
    done = imported(server, tmp_path, one, key=wrong)
    assert (done.returncode, "InvalidSignatureException" in done.stderr) == (2, True), done.stderr
    own = tmp_path / "own.json"
    mine = json.loads(OLD) | {"recipientAccountId": "444455556666"}
    other = json.loads(OLD) | {"eventName": "Other"}
    own.write_text("\n".join(map(json.dumps, (mine, other))))
    done = imported(server, tmp_path, str(own), key=OWN)
    found = json.loads(done.stdout)
    assert (found["imported"], found["quarantined"]) == (1, 1)
    assert "may not import records of that account" in found["failures"][0]["reason"]
    # Who may takes it in: the file does not count as done.
    found = summary(server, tmp_path, str(own))
    assert (found["imported"], found["duplicates"]) == (1, 1)
    assert summary(server, tmp_path, str(own))["files_before"] == 1


def test_requests_have_bounds(server: OpenTrail):
    key = Credentials(server.admin.access_key_id, server.admin.secret_access_key)
    with ServerSink(Server(server.endpoint, "us-east-1", key), SystemClock()) as sink:

        def post(body: bytes):
            return sink._posted(body)

        most = post(b"[" + b",".join([b"1"] * importing.RECORDS_MAX) + b"]")
        assert {each.reason for each in most.refused} == {importing.NO_EVENT}
        assert len(most.refused) == importing.RECORDS_MAX
        for body, said in (
            (b"[" + b",".join([b"1"] * (importing.RECORDS_MAX + 1)) + b"]", "HTTP 413"),
            (b"[]" + b" " * importing.BODY_BYTES_MAX, "HTTP 413"),
            (b'{"Records":[]}', "HTTP 400 InvalidRequestException"),
        ):
            with pytest.raises(ClientError, match=said):
                post(body)
        assert post(b"[]" + b" " * (importing.BODY_BYTES_MAX - 2)).refused == []
        new = json.dumps(json.loads(OLD) | {"eventName": "Twice"}).encode()
        large = json.dumps(json.loads(OLD) | {"x": "x" * RECORD_BYTES_MAX}).encode()
        found = post(b"[" + b",".join([new, large, new.replace(b",", b",\n"), new]) + b"]")
        assert (found.imported, found.duplicates) == (1, [3])
        assert [each.index for each in found.refused] == [1, 2]
        assert {each.reason for each in found.refused} == {importing.NOT_ONE_LINE}
        half = new.replace(b"Twice", rb"Half\ud83d")
        found = post(b"[" + b",".join([half, new.replace(b'"Twice"', b"NaN"), new]) + b"]")
        assert (found.imported, found.duplicates) == (1, [2])
        assert [each.index for each in found.refused] == [1]


def test_a_record_that_the_server_cannot_read_refuses_no_others(server: OpenTrail):
    many = b'{"eventTime":"2026-01-31T10:00:00Z","eventName":"Half\\ud83d","n":%d,"x":[%b[]]}'
    odd = [many % (number, b"[]," * (importing.BRACKETS_MAX // 2)) for number in range(3)]
    good = [json.dumps(json.loads(OLD) | {"eventName": f"Half{n}"}).encode() for n in range(9)]
    key = Credentials(server.admin.access_key_id, server.admin.secret_access_key)
    with ServerSink(Server(server.endpoint, "us-east-1", key), SystemClock()) as sink:
        sink.prepare([*good[:4], b'{"eventTime":"', *good[4:], *odd, good[0]])
        sink.begin()
        outcome = sink.finish()
    assert outcome.duplicates == frozenset((13,))
    assert outcome.again == frozenset((4,))
    assert list(outcome.refused) == [4]
    assert "HTTP 400 InvalidRequestException" in outcome.refused[4]
    there = in_log(server)
    assert [there[each] for each in (*good, *odd)] == [1] * 12


def test_a_server_that_is_away_is_waited_for_and_not_for_ever(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sink_server, "RETRY_DELAYS_S", (0.01, 0.01))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        taken = []

        def answer() -> None:
            for status, body in ((503, b"{}"), (200, ANSWER), (200, b"{}")):
                connection, _ = listening.accept()
                with connection:
                    taken.append(connection.recv(65536))
                    head = f"HTTP/1.1 {status} x\r\ncontent-length: {len(body)}\r\n"
                    connection.sendall(head.encode() + b"connection: close\r\n\r\n" + body)

        answering = threading.Thread(target=answer)
        answering.start()
        with ServerSink(Server(address, "us-east-1", None), SystemClock()) as sink:
            assert sink.log_id == "log"
            with pytest.raises(ClientError, match="is this its address"):
                sink._posted(b"[]")
        answering.join()
    assert len(taken) == 3
    with pytest.raises(Unavailable, match="refused"):
        ServerSink(Server(address, "us-east-1", None), SystemClock())


def test_addresses_that_are_no_server(tmp_path: Path, moto_url: str):
    for url, said in (
        ("ftp://x", "is not http(s)://"),
        (moto_url, "HTTP 500"),
    ):
        done = servers.run("import", str(tmp_path), "--server", url, home=tmp_path)
        assert (done.returncode, said in done.stderr) == (2, True), done.stderr
