# SPDX-License-Identifier: Apache-2.0
"""What ``opentrail serve`` says when it starts, and that a client can do what it says."""

import json
import os
import resource
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.certificates import Authority
from support.server import OpenTrail, clean_environment, wait_until

from opentrail.cli.serve import CONNECTIONS_FEW, _warnings
from opentrail.config import load
from opentrail.front.process import Started
from opentrail.front.server import OPEN_FILES_KEPT

BIN = str(Path(sys.executable).parent)

# A run under nohup has it ignored, and the servers that a test starts would inherit that.
signal.signal(signal.SIGHUP, signal.SIG_DFL)


def client_endpoint(server: OpenTrail) -> dict[str, str]:
    """Return the environment after a shell has done what the server says."""
    line = next(line for line in server.ready_lines if line.strip().startswith("clients"))
    command = line.strip().removeprefix("clients").strip()
    done = subprocess.run(
        ["/bin/sh", "-c", f"set -e; {command}; exec env"],
        env=clean_environment(server.data.parent) | {"PATH": f"{BIN}:{os.defpath}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return dict(line.split("=", 1) for line in done.stdout.splitlines())


def test_it_says_all_that_an_operator_wants_to_know(tmp_path):
    config = "region = 'eu-west-1'\n[log]\ndisk_reserve_bytes = 1048576\n"
    with OpenTrail(tmp_path / "a 'b'", upstream="http://127.0.0.1:9", config=config) as server:
        said = dict(line.split(None, 1) for line in server.ready_lines[1:])
        assert server.ready_lines[0] == f"OpenTrail is ready on {server.endpoint}"
        assert said["data"] == str(tmp_path / "a 'b'")
        assert (
            said["retention"]
            == "log 400 days, LookupEvents 90 days; refuses below 1 MiB of free disk"
        )
        assert "Personalize runtime" in said["records"]
        assert said["account"] == "123456789012, region eu-west-1"
        assert said["upstream"] == "default -> http://127.0.0.1:9"
        assert shlex.quote(said["data"]) in said["clients"]
        found = client_endpoint(server)
        assert found["AWS_ENDPOINT_URL"] == server.endpoint
        assert found["AWS_REGION"] == "eu-west-1"
        assert found["AWS_ACCESS_KEY_ID"] == server.admin.access_key_id
        warning = "training jobs that tuning jobs start and stop are not recorded:"
        assert server.errors().count("warning") == 1
        assert warning in server.errors()


def test_a_client_is_told_of_the_certificate(tmp_path):
    authority = Authority(tmp_path)
    pair = authority.sign("server", "a 'b'", days=-1)
    names = {"tls_cert": pair.cert, "tls_key": pair.key, "tls_ca": authority.file}
    config = "[listen]\n" + "".join(f'{name} = "{file}"\n' for name, file in names.items())
    with OpenTrail(tmp_path / "data", config=config) as server:
        wait_until(server.errors)
        (line,) = server.errors().splitlines()
        assert "clients refuse the certificate in listen.tls_cert" in line
        found = client_endpoint(server)
        assert found["AWS_ENDPOINT_URL"] == server.endpoint
        assert found["AWS_ENDPOINT_URL"].startswith("https://")
        assert found["AWS_CA_BUNDLE"] == str(authority.file)


def test_without_an_upstream_it_says_what_calls_get(tmp_path):
    with OpenTrail(tmp_path / "data") as server:
        assert "  upstream  none: every call is answered with an error" in server.ready_lines


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--auth", "off"], "auth is off"),
        (["--allow-reset"], "reset is allowed"),
        (["--listen", "0.0.0.0:0", "--allow-insecure"], "listening without TLS beyond loopback"),
        (["--upstream", "sagmaker=http://127.0.0.1:9"], "sagmaker (did you mean sagemaker?)"),
        (["--upstream", "house-47=http://127.0.0.1:9"], "is called house-47:"),
    ],
)
def test_what_is_risky_is_said_on_standard_error(tmp_path, arguments, says):
    with OpenTrail(tmp_path / "data", *arguments) as server:
        wait_until(server.errors)
        (line,) = server.errors().splitlines()
        assert line.startswith("  warning   ")
        assert says in line
        assert client_endpoint(server)["AWS_ENDPOINT_URL"].startswith("http://127.0.0.1:")


def test_a_log_of_json_has_the_warnings_as_json(tmp_path):
    with OpenTrail(tmp_path / "data", "--allow-reset", "--log-format", "json") as server:
        wait_until(server.errors)
        (line,) = map(json.loads, server.errors().splitlines())
        assert (line["level"], line["logger"]) == ("warning", "opentrail.serve")
        assert "reset is allowed" in line["message"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_it_ends_in_order_also_when_its_terminal_is_closed(tmp_path, number):
    with OpenTrail(tmp_path / "data") as server:
        if number is signal.SIGHUP:
            back = server.back_pid
            os.kill(back, number)  # a terminal's goes to both
            server.wait_indexed()
            assert server.back_pid == back
        assert server.stop(number) == 0
        assert server.errors() == ""


def test_leave_that_is_not_needed_and_services_by_any_of_their_names_are_no_warning(tmp_path):
    names = ("s3express", "lexv2-models", "lex", "sagemaker-featurestore-runtime")
    config = "[upstream]\n" + "".join(f"{name} = 'http://127.0.0.1:9'\n" for name in names)
    with OpenTrail(tmp_path / "data", "--allow-insecure", config=config) as server:
        server.stop()
        assert server.errors() == ""


@pytest.mark.parametrize(
    ("connections", "told"), [(CONNECTIONS_FEW - 1, True), (CONNECTIONS_FEW, False)]
)
def test_so_few_open_files_that_clients_are_turned_away_are_told(connections, told, monkeypatch):
    files = OPEN_FILES_KEPT + 2 * connections
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))
    started = Started("127.0.0.1", 4540, recovered=0, refuses="", certificate="")
    warnings = list(_warnings(load(None, {}, {}), started))
    assert [f"{connections} connections at most" in each for each in warnings] == [True] * told
