# SPDX-License-Identifier: Apache-2.0
"""`opentrail status` and `opentrail doctor`, on a set-up that is well and on ones that are not."""

import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from botocore.exceptions import ClientError
from support import upstreams
from support.aws_clients import Key, client
from support.certificates import Authority
from support.data_directories import data_directory, record
from support.server import OpenTrail, clean_environment, run, wait_until

from opentrail.front.pulse import SILENT_S_MAX
from opentrail.sandbox.moto import start_moto
from opentrail.state.base import Change
from opentrail.state.sqlite import SqliteState
from opentrail.trails.deliver import CURSOR_PREFIX
from opentrail.trails.status import DeliveryStatus, delivery_status_key

BIN = str(Path(sys.executable).parent)


def facts(*arguments: str, home: Path, code: int) -> dict[str, list[str]]:
    done = run("status", *arguments, "--json", home=home)
    assert done.returncode == code, done.stdout + done.stderr
    found: dict[str, list[str]] = {}
    for line in json.loads(done.stdout):
        found.setdefault(line["fact"], []).append(line["text"])
    return found


def checks(
    *arguments: str, home: Path, code: int, environment: dict[str, str] | None = None
) -> dict[str, tuple[str, str, str]]:
    done = run("doctor", *arguments, "--json", home=home, environment=environment)
    assert done.returncode == code, done.stdout + done.stderr
    return {
        each["check"]: (each["verdict"], each["found"], each["fix"])
        for each in json.loads(done.stdout)
    }


def test_a_server_that_is_well_and_its_trails(tmp_path):
    config = "[delivery]\nfile_interval_s = 0.2\n[exclude.health]\npaths = ['/healthz']\n"
    with (
        upstreams.upstream() as upstream,
        OpenTrail(
            tmp_path / "data",
            config=config + f"[upstream]\nsagemaker = '{upstream.url}'\n",
        ) as server,
    ):
        file = str(tmp_path / "data.toml")
        address = server.endpoint.removeprefix("http://")
        arguments = ("--config", file, "--data", "data", "--listen", address)
        cloudtrail = server.client("cloudtrail")
        cloudtrail.create_trail(Name="audit", S3BucketName="trail-logs")
        cloudtrail.start_logging(Name="audit")
        wait_until(lambda: "LatestDeliveryTime" in cloudtrail.get_trail_status(Name="audit"))
        server.wait_indexed()
        found = facts(*arguments, home=tmp_path, code=0)
        assert found["server"] == [f"ok at {server.endpoint}"]
        (behind,) = found["history"]  # a cut is made five times a second
        assert behind == "all is indexed" or behind.endswith(" bytes behind")
        assert found["excluded"] == ["health (/healthz)"]
        assert "audit (us-east-1) logs" in found["trail"][0]
        assert "s ago" in found["trail"][0]
        all_add_up(found)

        key = server.admin
        environment = {
            "AWS_ENDPOINT_URL": server.endpoint,
            "AWS_ACCESS_KEY_ID": key.access_key_id,
            "AWS_SECRET_ACCESS_KEY": key.secret_access_key,
        }
        found_checks = checks(*arguments, home=tmp_path, code=0, environment=environment)
        assert {verdict for verdict, _, _ in found_checks.values()} == {"ok"}
        assert {"server", "keys", "upstream", "bucket", "disk"} <= set(found_checks)

        a_broken_shell(tmp_path, arguments, environment)
    found_checks = checks(*arguments, home=tmp_path, code=1)
    assert "no answer" in found_checks["server"][1]
    assert found_checks["upstream"][0] == "wrong"
    found = facts(*arguments, home=tmp_path, code=3)
    assert "no answer" in found["server"][0]
    a_bucket_that_is_gone(tmp_path, arguments)


def all_add_up(found: dict[str, list[str]]) -> None:
    assert found["calls"][0].endswith("0 failed + 0 in flight")
    (records,) = found["records"]
    assert re.fullmatch(
        r"(\d+) appended = \1 indexed \+ 0 that are no events \+ 0 beyond retention \+ 0 waiting",
        records,
    )


def a_bucket_that_is_gone(home: Path, arguments: tuple[str, ...]) -> None:
    assert not {"backlog", "given up"} & set(facts(*arguments, home=home, code=3))
    gone_for_hours(home)
    found = facts(*arguments, home=home, code=3)
    assert found["backlog"] == [
        "audit: more than 1 bytes of log wait; the oldest is given up",
        "audit, delivery: refused for 26 hours",
    ]
    assert found["given up"] == ["audit, delivery: 1,234 records in 7 files never delivered"]


def gone_for_hours(home: Path) -> None:
    """Let the trail's bucket have refused for a day, and the bounds be small."""
    limits = "[delivery]\nbacklog_bytes_max = 1\ngive_up = ['audit']\n"
    file = home / "data.toml"
    file.write_text(file.read_text().replace("[delivery]\n", limits))
    status = DeliveryStatus(
        error="NoSuchBucket", failing_ms=26 * 3_600_000, given_up=1234, given_up_files=7
    )
    state = SqliteState.open(home / "data" / "state.db")
    (cursor,) = state.scan("cursor/")
    key = delivery_status_key(cursor.key.removeprefix("cursor/"))
    place = Change(cursor.key, b"0", None)
    state.commit([place, Change(key, msgspec.json.encode(status), None)])
    state.close()


def a_broken_shell(home: Path, arguments: tuple[str, ...], environment: dict[str, str]) -> None:
    shutil.rmtree(home / "data" / "buckets" / "trail-logs")
    bad = {
        **environment,
        "AWS_SECRET_ACCESS_KEY": "wrong",
        "HTTP_PROXY": "http://proxy.example:1",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
    }
    broken = checks(*arguments, home=home, code=1, environment=bad)
    assert broken["keys"][0] == "wrong"
    assert "secret key is not the one" in broken["keys"][2]
    assert broken["proxy"][0] == "wrong"
    assert "add 127.0.0.1 to NO_PROXY" in broken["proxy"][2]
    assert broken["endpoint"][0] == "look"


def test_settings_that_cannot_be_read_and_a_directory_that_is_none(tmp_path):
    (tmp_path / "bad.toml").write_text("[log]\nretention = 1\n")
    found = checks("--config", "bad.toml", home=tmp_path, code=1)
    assert found["settings"][0] == "wrong"
    assert "did you mean log.retention_days" in found["settings"][1]
    found = checks("--data", "nowhere", home=tmp_path, code=1)
    assert found["data"][0] == "wrong"
    done = run("status", home=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


def test_a_directory_that_is_none_beside_a_server_that_is_well(tmp_path):
    (tmp_path / "a-file").touch()
    with OpenTrail(tmp_path / "data") as server:
        address = server.endpoint.removeprefix("http://")
        for name in ("nowhere", "a-file"):
            found = checks("--data", name, "--listen", address, home=tmp_path, code=1)
            assert found["data"][:2] == ("wrong", f"there is no log in {name}")
            assert found["server"][:2] == ("ok", server.endpoint)


def test_something_else_that_listens_there(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other, upstreams.upstream() as web:
        del other
        address = web.url.removeprefix("http://")
        found = checks("--listen", address, "--data", "nowhere", home=tmp_path, code=1)
    assert "is no OpenTrail" in found["server"][1]


def test_a_server_whose_figures_do_not_come_is_not_said_to_be_well(tmp_path):
    data_directory(tmp_path / "data", [record(0)])
    with upstreams.upstream(upstreams.answer(200, b'{"status":"ok"}')) as half:
        address = half.url.removeprefix("http://")
        found = facts("--data", "data", "--listen", address, home=tmp_path, code=1)
    assert found["metrics"] == ["none in an answer of 200"]
    assert not {"history", "records", "calls"} & found.keys()


def test_what_takes_connections_and_is_silent_is_not_to_be_started(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = "{}:{}".format(*silent.getsockname())
        found = checks("--listen", address, "--data", "nowhere", home=tmp_path, code=1)
    assert found["server"][1].endswith("timed out")
    assert found["server"][2].startswith("see its own log")


def test_a_server_with_another_directory(tmp_path):
    data_directory(tmp_path / "other", [record(0)])
    with OpenTrail(tmp_path / "data") as server:
        address = server.endpoint.removeprefix("http://")
        arguments = ("--data", "other", "--listen", address)
        said = f"{server.endpoint} has another log than other"
        found = checks(*arguments, home=tmp_path, code=1)
        assert found["server"][:2] == ("wrong", said)
        assert facts(*arguments, home=tmp_path, code=1)["server"][1] == said


def test_what_cannot_be_read_hides_nothing_else(tmp_path):
    data_directory(tmp_path / "data", [record(0)])
    (tmp_path / "data" / "state.db").write_bytes(b"x" * 100)
    found = checks("--data", "data", home=tmp_path, code=1)
    assert found["bucket"][:2] == ("wrong", "file is not a database")
    (tmp_path / "data" / "state.db").unlink()
    (tmp_path / "data" / "state.db").mkdir()
    shown = facts("--data", "data", home=tmp_path, code=3).keys()
    assert shown == {"server", "log", "disk", "retention"}
    (tmp_path / "data" / "log" / "durable").write_bytes(b"x")
    found = checks("--data", "data", home=tmp_path, code=1)
    assert found["data"][:2] == ("wrong", "the file is not 64 bytes long")
    assert {"disk", "server", "upstream", "endpoint", "proxy", "bucket"} <= set(found)
    assert facts("--data", "data", home=tmp_path, code=4).keys() == shown - {"log"}


def test_a_log_whose_beginning_cannot_be_read(tmp_path):
    data_directory(tmp_path / "data", [record(0)])
    next((tmp_path / "data" / "log").glob("*.seg")).unlink()
    found = checks("--data", "data", home=tmp_path, code=1)
    assert found["data"][:2] == ("wrong", "a segment of the log is missing")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("ca = 'ours.pem'", ""),
        ("", "certificate verify failed"),
        ("proxy = 'http://127.0.0.1:9'", "through http://127.0.0.1:9: Connect call failed"),
        ("url = 'https://127.0.0.1:9'", "Connect call failed"),
        (f"url = 'http://{'x' * 70}.example'", "label"),
    ],
)
def test_upstreams_are_asked_as_the_server_asks_them(tmp_path, more, said):
    authority = Authority(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    pair = authority.sign("server")
    tls.load_cert_chain(pair.cert, pair.key)
    authority.file.rename(tmp_path / "ours.pem")
    with upstreams.upstream(tls=tls) as upstream:
        url = "" if "url" in more else f"url = '{upstream.url}'\n"
        (tmp_path / "up.toml").write_text(f"[upstream.s3]\n{url}{more}\n")
        found = checks("--config", "up.toml", home=tmp_path, code=1)
    assert found["upstream"][0] == ("wrong" if said else "ok")
    assert said in found["upstream"][1]


def test_a_shell_whose_clients_go_elsewhere(tmp_path):
    endpoint = {"AWS_ENDPOINT_URL": "http://127.0.0.1:4540"}
    elsewhere = {**endpoint, "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:45401"}
    found = checks(home=tmp_path, code=1, environment=elsewhere)
    assert "AWS_ENDPOINT_URL_S3" in found["endpoint"][1]
    proxied = {**endpoint, "http_proxy": "http://me:secret@["}
    found = checks(home=tmp_path, code=1, environment=proxied)
    assert found["endpoint"][0] == "ok"
    assert found["proxy"][:2] == ("wrong", "calls to 127.0.0.1 would go to the proxy [")


def test_the_command_that_it_gives_for_a_shell_works(tmp_path):
    with OpenTrail(tmp_path / "data") as server:
        address = server.endpoint.removeprefix("http://")
        place = ("--data", "data", "--listen", address, "--region", "eu-west-1")
        verdict, _, fix = checks(*place, home=tmp_path, code=0)["endpoint"]
        assert verdict == "look"
        assert fix in checks(*place, home=tmp_path, code=0)["keys"][2]
        done = subprocess.run(
            ["/bin/sh", "-c", f"{fix}; env"],
            env=clean_environment(tmp_path / "data") | {"PATH": f"{BIN}:{os.defpath}"},
            capture_output=True,
            text=True,
            check=True,
        )
    set_up = dict(line.split("=", 1) for line in done.stdout.splitlines())
    assert set_up["AWS_ENDPOINT_URL"] == server.endpoint
    assert set_up["AWS_REGION"] == "eu-west-1"


@pytest.mark.parametrize("name", ["credentials", "access-keys.json", "keys"])
def test_secrets_that_others_can_read(tmp_path, name):
    with OpenTrail(tmp_path / "data") as server:
        address = server.endpoint.removeprefix("http://")
        run("access-keys", "add", "--data", "data", "--user", "ada", home=tmp_path)
        (tmp_path / "data" / name).chmod(0o755)
        found = checks("--data", "data", "--listen", address, home=tmp_path, code=1)
        assert found["data"][:2] == ("wrong", f"others can read {name}")


def test_a_back_process_that_hangs_is_told_and_what_was_recorded_meanwhile_is_found(tmp_path):
    with OpenTrail(tmp_path / "data") as server:
        server.wait_indexed()
        at = ("--data", "data", "--listen", server.endpoint.removeprefix("http://"))
        back = server.back_pid
        os.kill(back, signal.SIGSTOP)
        try:
            wait_until(lambda: server.health()["status"] != "ok", seconds_max=30)
            health = server.health()
            assert health["status"] == "degraded"
            assert health["back"]["up"] is False
            assert server.metrics()["opentrail_back_silent_seconds"] >= SILENT_S_MAX
            assert "has not answered for 1" in facts(*at, home=tmp_path, code=1)["back"][0]
        finally:
            os.kill(back, signal.SIGCONT)
        wait_until(lambda: server.health()["status"] == "ok")
        assert server.health()["back"]["silent_s"] == 0
        assert "kill it" in server.errors()
        assert "back answers again" in server.errors()
        assert server.back_pid == back


def test_a_delivery_that_stands_still_is_told_and_goes_on_once_it_can(tmp_path):
    config = "[delivery]\nfile_interval_s = 0.2\n"
    with OpenTrail(tmp_path / "data", config=config) as server:
        at = ("--data", "data", "--listen", server.endpoint.removeprefix("http://"))
        cloudtrail = server.client("cloudtrail")
        cloudtrail.create_trail(Name="audit", S3BucketName="trail-logs")
        cloudtrail.start_logging(Name="audit")
        wait_until(lambda: "LatestDeliveryTime" in cloudtrail.get_trail_status(Name="audit"))
        server.stop()
        with closing(SqliteState.open(tmp_path / "data" / "state.db")) as state:
            (cursor,) = state.scan(CURSOR_PREFIX)
            state.commit([Change(cursor.key, b"no number", None)])
        server.start()
        wait_until(lambda: server.health()["back"]["stands_still"])
        health = server.health()
        assert health["status"] == "degraded"
        assert server.metrics()["opentrail_back_standing_still"] >= 1
        server.wait_indexed()
        with closing(SqliteState.open(tmp_path / "data" / "state.db")) as state:
            state.commit([Change(cursor.key, cursor.value, None)])
        told = facts(*at, home=tmp_path, code=1)["back"]
        assert any("trails stand still" in each and cursor.key in each for each in told)
        verdict, found, _ = checks(*at, home=tmp_path, code=1)["server"]
        assert verdict == "wrong"
        assert "is degraded: back: " in found
        assert "trails stand still" in found
        server.kill_back()  # as it does itself after some minutes
        wait_until(lambda: server.health()["back"]["up"])
        wait_until(lambda: server.health()["status"] == "ok")


def test_a_back_process_that_cannot_start_says_why_until_it_can(tmp_path):
    with OpenTrail(tmp_path / "data") as server:
        at = ("--data", "data", "--listen", server.endpoint.removeprefix("http://"))
        server.wait_indexed()
        key = tmp_path / "data" / "keys" / "digest-0001-1-2.pem"
        key.write_text("no key")
        server.kill_back()
        wait_until(lambda: server.health()["back"]["stands_still"])
        assert server.health()["status"] == "degraded"
        (told,) = facts(*at, home=tmp_path, code=1)["back"]
        assert "cannot start: " in told
        assert f"{key.name}: not a private key" in told
        assert key.name in checks(*at, home=tmp_path, code=1)["server"][1]
        with pytest.raises(ClientError, match="health says why"):
            server.client("cloudtrail").describe_trails()
        key.unlink()
        wait_until(lambda: server.health()["status"] == "ok")
        assert server.health()["back"]["stands_still"] == []


def test_a_bucket_whose_profile_is_not_there_holds_up_its_own_trail_only(tmp_path):
    """The profile may come while the server runs."""
    config = "[delivery]\nfile_interval_s = 0.2\n"
    bucket = "[buckets.trail-logs]\nendpoint = '{}'\ncredentials_profile = 'late'\n"
    credentials = tmp_path / ".aws" / "credentials"
    credentials.parent.mkdir()
    profile = "[late]\naws_access_key_id = AKIALATE\naws_secret_access_key = x\n"
    with start_moto() as moto:
        client("s3", moto.url, Key("AKIALATE", "x")).create_bucket(Bucket="trail-logs")
        credentials.write_text(profile)
        config += bucket.format(moto.url)
        with OpenTrail(tmp_path / "data", config=config) as server:
            cloudtrail = server.client("cloudtrail")
            for name, bucket in (("late", "trail-logs"), ("here", "a-directory")):
                cloudtrail.create_trail(Name=name, S3BucketName=bucket)
                cloudtrail.start_logging(Name=name)

            def status(name):
                return cloudtrail.get_trail_status(Name=name)

            wait_until(lambda: all("LatestDeliveryTime" in status(x) for x in ("late", "here")))
            server.stop()
            credentials.write_text("")
            server.start()
            server.wait_indexed()
            begun = status("here")["LatestDeliveryTime"]
            wait_until(lambda: status("here")["LatestDeliveryTime"] > begun)
            wait_until(lambda: "LatestDeliveryError" in status("late"))
            assert "buckets.trail-logs.credentials_profile" in server.errors()
            assert "(late) could not be found" in server.errors()
            credentials.write_text(profile)
            wait_until(lambda: "LatestDeliveryError" not in status("late"), seconds_max=30)
