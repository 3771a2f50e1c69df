# SPDX-License-Identifier: Apache-2.0
"""``opentrail record``: real commands, run behind an OpenTrail that is gone afterwards."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.server import clean_environment

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


def record(home: Path, moto_url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = clean_environment(home) | KEY
    environment |= {"AWS_DEFAULT_REGION": "eu-west-1", "AWS_ENDPOINT_URL": moto_url}
    environment["TMPDIR"] = str(home)
    command = [sys.executable, "-m", "opentrail.cli.main", "record", *arguments]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=60
    )


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
