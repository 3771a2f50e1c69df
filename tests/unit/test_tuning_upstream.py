# SPDX-License-Identifier: Apache-2.0
"""The upstream's SageMaker, asked over HTTP: pages, refusals, rotated keys, answers that are none."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from opentrail.capture.tuning_upstream import SageMaker
from opentrail.errors import ClientError, Unavailable

OLD, NEW = "AKIATESTROTATEDOLD", "AKIATESTROTATEDNEW"
ACCOUNT, REGION = "111122223333", "us-west-2"
ARN = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:"
JOBS = 500
PAGE = 100


def job(number):
    name = f"churn-{number:03d}"
    shown = {"TrainingJobName": name, "TrainingJobArn": f"{ARN}training-job/{name}"}
    return {**shown, "TrainingJobStatus": "InProgress", "CreationTime": 1_700_000_000.5}


class Endpoint(BaseHTTPRequestHandler):
    """A tuning job with many training jobs; takes the new key only."""

    fails: tuple[int, dict[str, str]] | None = None

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status, answer = self.answered(asked)
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def answered(self, asked):
        if NEW not in self.headers["Authorization"]:
            return 400, {"__type": "ExpiredTokenException", "message": "expired"}
        if self.fails is not None:
            return self.fails
        if self.headers["X-Amz-Target"].endswith(".DescribeHyperParameterTuningJob"):
            arn = f"{ARN}hyper-parameter-tuning-job/{asked['HyperParameterTuningJobName']}"
            status = {"HyperParameterTuningJobStatus": "InProgress"}
            return 200, {"HyperParameterTuningJobArn": arn, **status}
        start = int(asked.get("NextToken", 0))
        page = {"TrainingJobSummaries": [job(n) for n in range(start, start + PAGE)]}
        return 200, page | ({"NextToken": str(start + PAGE)} if start + PAGE < JOBS else {})

    def log_message(self, *_words):
        pass


@pytest.fixture
def answers():
    """What every call with the right key is answered, once it is set."""

    class Own(Endpoint):
        pass

    return Own


@pytest.fixture
def sagemaker(tmp_path, monkeypatch, answers):
    file = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    file.write_text(f"[tuner]\naws_access_key_id={NEW}\naws_secret_access_key=x\n")
    with HTTPServer(("127.0.0.1", 0), answers) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield SageMaker(f"http://127.0.0.1:{server.server_port}", {"": "tuner"})
        server.shutdown()
        thread.join()


def test_all_training_jobs_are_listed(sagemaker):
    family = sagemaker.family(ACCOUNT, REGION, "churn")
    assert family.arn == f"{ARN}hyper-parameter-tuning-job/churn"
    assert [child.name for child in family.children] == [f"churn-{n:03d}" for n in range(JOBS)]
    assert family.children[0].created_ms == 1_700_000_000_500


def test_a_rotated_key_is_read_again(sagemaker, tmp_path):
    file = tmp_path / "credentials"
    good = file.read_text()
    file.write_text(good.replace(NEW, OLD))
    with pytest.raises(ClientError, match="expired"):
        sagemaker.family(ACCOUNT, REGION, "churn")
    file.write_text(good)
    assert sagemaker.family(ACCOUNT, REGION, "churn").status == "InProgress"


@pytest.mark.parametrize(
    ("status", "code", "raised"),
    [
        (400, "AccessDeniedException", ClientError),
        (400, "ResourceNotFound", ClientError),
        (400, "ThrottlingException", Unavailable),
        (500, "InternalFailure", Unavailable),
    ],
)
def test_a_refusal_has_its_code_and_what_passes_is_none(sagemaker, answers, status, code, raised):
    answers.fails = (status, {"__type": code, "message": "no"})
    with pytest.raises(raised):
        sagemaker.family(ACCOUNT, REGION, "churn")


def test_an_answer_that_is_none_is_asked_for_again(sagemaker, answers):
    answers.fails = (200, {})
    with pytest.raises(Unavailable, match="cannot be read"):
        sagemaker.family(ACCOUNT, REGION, "churn")
