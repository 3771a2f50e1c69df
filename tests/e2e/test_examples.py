# SPDX-License-Identifier: Apache-2.0
"""Every example runs, and what it says it records is in the log of a real server."""

import json
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.server import OpenTrail, clean_environment, wait_until

EXAMPLES = Path(__file__).parents[2] / "examples"
SERVICES = ("fastapi_orders", "starlette_orders", "flask_orders", "django_orders")


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[OpenTrail]:
    with OpenTrail(tmp_path_factory.mktemp("examples") / "data") as running:
        yield running


def environment(server: OpenTrail) -> dict[str, str]:
    return {
        **clean_environment(server.data.parent),
        "AWS_ACCESS_KEY_ID": server.admin.access_key_id,
        "AWS_SECRET_ACCESS_KEY": server.admin.secret_access_key,
        "OPENTRAIL_SDK_ENDPOINT": server.endpoint,
    }


def run(server: OpenTrail, *command: str, **more: str) -> str:
    done = subprocess.run(
        command,
        env={**environment(server), **more},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def events(server: OpenTrail, source: str) -> list[dict[str, Any]]:
    return [event for event in server.events() if event["eventSource"] == source]


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def call(url: str, method: str, body: dict[str, Any] | None = None) -> int:
    request = urllib.request.Request(
        url,
        None if body is None else json.dumps(body).encode(),
        {"Content-Type": "application/json", "X-User": "mary"},
        method=method,
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            status: int = answer.status
            return status
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return 0


@contextmanager
def service(server: OpenTrail, name: str) -> Iterator[str]:
    """Run a service; it ends as at a key press, and its last records are sent."""
    port = free_port()
    command = [sys.executable, str(EXAMPLES / f"{name}.py"), str(port)]
    with subprocess.Popen(command, env=environment(server), stderr=subprocess.PIPE) as process:
        url = f"http://127.0.0.1:{port}"
        try:
            wait_until(lambda: call(f"{url}/health", "GET") == 200, seconds_max=30)
            yield url
        finally:
            wait_until(lambda: ended(process), seconds_max=20)


def ended(process: subprocess.Popen[bytes]) -> bool:
    """Interrupt a service; one that is just answering a call may take no notice (wsgiref)."""
    process.send_signal(signal.SIGINT)
    try:
        process.communicate(timeout=2)
    except subprocess.TimeoutExpired:
        return False
    return True


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_recorded(server, name):
    before = len(events(server, "orders.example.com"))
    with service(server, name) as url:
        assert call(f"{url}/orders/7", "POST", {"note": "n", "password": "p-1"}) == 200
        assert call(f"{url}/orders/8?verbose=1", "GET") == 404
    created, looked_for = events(server, "orders.example.com")[before:]
    assert created["eventName"] == "CreateOrder"
    assert created["userIdentity"]["userName"] == "mary"
    assert created["requestParameters"]["note"] == "n"
    assert "p-1" not in json.dumps(created)
    assert created["responseElements"]["fields"] == ["note", "password"]
    assert looked_for["readOnly"] is True
    assert looked_for["errorCode"] == "NotFound"
    assert looked_for["errorMessage"] == "no order 8"
    assert looked_for["requestParameters"]["verbose"] == "1"
    found = server.lookup(
        LookupAttributes=[{"AttributeKey": "EventId", "AttributeValue": created["eventID"]}]
    )
    assert [json.loads(each["CloudTrailEvent"]) for each in found] == [created]


def test_records_are_sent_with_a_few_lines(server):
    event_id, word = run(server, sys.executable, str(EXAMPLES / "send_records.py")).split()
    assert word == "arrived"
    (event,) = events(server, "billing.example.com")
    assert (event["eventID"], event["eventName"]) == (event_id, "CloseMonth")


def test_records_are_sent_with_the_key_of_a_boto3_session(server):
    answer = json.loads(run(server, sys.executable, str(EXAMPLES / "send_records_boto3.py")))
    (verdict,) = answer["records"]
    (event,) = events(server, "vault.example.com")
    assert (verdict["verdict"], verdict["eventID"]) == ("accepted", event["eventID"])


def test_records_are_sent_with_curl(server):
    answer = json.loads(run(server, "sh", str(EXAMPLES / "send_records.sh")))
    assert (answer["accepted"], answer["duplicates"], answer["rejected"]) == (2, 0, 0)
    users = {event["userIdentity"]["userName"] for event in events(server, "door.example.com")}
    assert users == {"mary", "joe"}


PROGRAM = """
import sys, boto3
sagemaker = boto3.client("sagemaker", region_name="us-east-1", endpoint_url=sys.argv[1])
try:
    sagemaker.create_model(ModelName="churn", ExecutionRoleArn="arn:aws:iam::123456789012:role/r")
except Exception as error:
    print(type(error).__name__)
"""
CREATE = ("sagemaker", "create-model", "--model-name", "churn", "--execution-role-arn")
ROLE = "arn:aws:iam::123456789012:role/r"


def by_one_line(server: OpenTrail, endpoint: str) -> None:
    assert "EndpointConnectionError" in run(
        server, sys.executable, str(EXAMPLES / "boto3_plugin.py"), endpoint
    )


def by_the_variable(server: OpenTrail, endpoint: str) -> None:
    run(
        server,
        sys.executable,
        "-c",
        PROGRAM,
        endpoint,
        AWS_MAX_ATTEMPTS="2",
        AWS_RETRY_MODE="standard",
        BOTOCORE_EXPERIMENTAL__PLUGINS="opentrail=opentrail.sdk.botocore",
    )


def by_the_clis_plugins(server: OpenTrail, endpoint: str) -> None:
    config = server.data.parent / "cli-config"
    config.write_text("[plugins]\nopentrail = opentrail.sdk.botocore\n")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "awscli", *CREATE, ROLE),
            *("--region", "us-east-1", "--endpoint-url", endpoint),
        ],
        env={
            **environment(server),
            "AWS_CONFIG_FILE": str(config),
            "AWS_MAX_ATTEMPTS": "2",
            "AWS_RETRY_MODE": "standard",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "Could not connect" in done.stderr


@pytest.mark.parametrize("how", [by_one_line, by_the_variable, by_the_clis_plugins])
def test_the_calls_of_a_program_are_recorded(server, how):
    before = len(events(server, "sagemaker.amazonaws.com"))
    how(server, f"http://127.0.0.1:{free_port()}")
    (event,) = events(server, "sagemaker.amazonaws.com")[before:]
    assert event["eventName"] == "CreateModel"
    assert event["requestParameters"]["modelName"] == "churn"
    assert event["errorCode"] == "EndpointConnectionError"
    assert len(event["additionalEventData"]["attempts"]) == 2
    assert event["userIdentity"]["accessKeyId"] == server.admin.access_key_id
    assert server.admin.secret_access_key not in json.dumps(event)
