# SPDX-License-Identifier: Apache-2.0
"""``opentrail record``: real commands, run behind an OpenTrail that is gone afterwards."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.server import clean_environment, wait_until

KEY = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "not-a-secret"}
PYTHON = """
import boto3, botocore.exceptions
models = boto3.client("sagemaker")
models.list_models()
try:
    models.describe_model(ModelName="nothing")
except botocore.exceptions.ClientError as error:
    print(error.response["Error"]["Code"])
raise SystemExit(7)
"""


RECORD = [sys.executable, "-m", "opentrail.cli.main", "record"]


def environment_of(home: Path, moto_url: str) -> dict[str, str]:
    return (
        clean_environment(home)
        | KEY
        | {"AWS_DEFAULT_REGION": "eu-west-1", "AWS_ENDPOINT_URL": moto_url, "TMPDIR": str(home)}
    )


def record(home: Path, moto_url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*RECORD, *arguments],
        env=environment_of(home, moto_url),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def processes_of(home: Path) -> list[str]:
    """Return the processes that have this test's environment."""
    mark, found = f"TMPDIR={home}".encode(), []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (path / "environ").read_bytes().split(b"\0"):
                found.append((path / "cmdline").read_text())
        except OSError:
            continue
    return found


def test_the_calls_are_shown_in_order_and_nothing_is_left(tmp_path, moto_url):
    done = record(tmp_path, moto_url, "--", sys.executable, "-c", PYTHON)
    assert done.returncode == 7, done.stderr
    said, *calls = done.stdout.splitlines()
    assert said == "ValidationException"
    rows = [call.split("\t") for call in calls]
    assert [(row[1], row[3], row[5], row[6]) for row in rows] == [
        ("ListModels", "", "sagemaker", "eu-west-1"),
        ("DescribeModel", "ValidationException", "sagemaker", "eu-west-1"),
    ]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", ["json", "records"])
def test_records_are_written_as_log_files_have_them(tmp_path, moto_url, form):
    output = tmp_path / "calls.json"
    code = "import boto3; boto3.client('sts').get_caller_identity()"
    flags = ("--format", form, "--output", str(output))
    done = record(tmp_path, moto_url, *flags, "--", sys.executable, "-c", code)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    (one,) = json.loads(output.read_text())["Records"]
    assert one["eventName"] == "GetCallerIdentity"
    assert one["userIdentity"]["accessKeyId"] == "AKIAEXAMPLE"
    assert one["additionalEventData"]["identityVerified"] is False


def test_the_aws_cli_with_an_upstream_for_one_service(tmp_path, moto_url):
    aws = str(Path(sys.executable).with_name("aws"))
    flags = ("--upstream", f"s3={moto_url}", "--format", "ndjson")
    done = record(tmp_path, "http://127.0.0.1:1", *flags, "--", aws, "s3", "ls")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["eventName"] == "ListBuckets"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_command_shows_its_calls_and_leaves_nothing(tmp_path, moto_url, number):
    code = (
        "import boto3, time; boto3.client('sts').get_caller_identity(); "
        "print('called', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [*RECORD, "--", sys.executable, "-c", code],
        env=environment_of(tmp_path, moto_url),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "called\n"
        process.send_signal(number)
        shown = process.stdout.read()
    assert process.returncode == 128 + number
    assert "GetCallerIdentity" in shown
    assert list(tmp_path.iterdir()) == []
    assert processes_of(tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_the_command_does_about_a_signal_to_its_whole_group_is_recorded(
    tmp_path, moto_url, number
):
    """As Ctrl-C and ``timeout`` send it; terraform, for one, goes on until it can stop in order."""
    code = """if True:
        import boto3, signal, time
        def tidy(*_):
            time.sleep(1)
            boto3.client("sts").get_caller_identity()
            raise SystemExit(3)
        signal.signal(signal.SIGINT, tidy)
        signal.signal(signal.SIGTERM, tidy)
        print("ready", flush=True)
        time.sleep(60)
    """
    with subprocess.Popen(
        [*RECORD, "--", sys.executable, "-c", code],
        env=environment_of(tmp_path, moto_url),
        stdout=subprocess.PIPE,
        text=True,
        process_group=0,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        os.killpg(process.pid, number)
        shown = process.stdout.read()
    assert process.returncode == 3
    assert "GetCallerIdentity" in shown
    assert processes_of(tmp_path) == []


def test_a_signal_before_the_command_begins_leaves_nothing(tmp_path, moto_url):
    with subprocess.Popen(
        [*RECORD, "--", "true"], env=environment_of(tmp_path, moto_url)
    ) as process:
        wait_until(lambda: any("\0serve\0" in one for one in processes_of(tmp_path)))
        process.send_signal(signal.SIGTERM)
    assert process.returncode in (0, 128 + signal.SIGTERM)  # 0: it was quicker
    assert list(tmp_path.iterdir()) == []
    assert processes_of(tmp_path) == []


def test_a_command_that_cannot_be_started(tmp_path, moto_url):
    done = record(tmp_path, moto_url, "--", "no-such-command-here")
    assert done.returncode == 127
    assert "cannot run no-such-command-here" in done.stderr


def test_without_an_endpoint_it_says_what_to_set(tmp_path):
    environment = clean_environment(tmp_path)
    command = [sys.executable, "-m", "opentrail.cli.main", "record", "--", "true"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "AWS_ENDPOINT_URL" in done.stderr
