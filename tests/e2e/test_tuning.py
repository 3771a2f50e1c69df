# SPDX-License-Identifier: Apache-2.0
"""Automatic model tuning with real calls: what a tuning job starts and stops is recorded, once."""

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from support.aws_clients import Key
from support.sandbox_calls import tuning_job
from support.server import OpenTrail, wait_until

from opentrail.sandbox.process import start_sandbox

ACCOUNT = "123456789012"
SETTINGS = """
[tuning]
credentials_profile = "tuner"
poll_interval_s = 0.2
"""
PROFILE = f"[tuner]\naws_access_key_id = {ACCOUNT}\naws_secret_access_key = of-no-value\n"
WAIT_S_MAX = 60.0


@pytest.fixture(scope="module")
def sandbox_url():
    with start_sandbox() as running:
        yield running.url


def profile(home: Path) -> None:
    (home / ".aws").mkdir()
    (home / ".aws" / "credentials").write_text(PROFILE, encoding="utf-8")


def service_events(server: OpenTrail) -> Counter[tuple[str, str]]:
    """(eventName, training job) of the service events that LookupEvents finds."""
    records = [json.loads(event["CloudTrailEvent"]) for event in server.lookup()]
    return Counter(
        (record["eventName"], record["serviceEventDetails"].get("trainingJobName", ""))
        for record in records
        if record["eventType"] == "AwsServiceEvent"
    )


def listed(sagemaker: Any, name: str) -> list[dict[str, Any]]:
    pages = sagemaker.get_paginator("list_training_jobs_for_hyper_parameter_tuning_job")
    found = pages.paginate(HyperParameterTuningJobName=name)
    return [summary for page in found for summary in page["TrainingJobSummaries"]]


def running(sagemaker: Any, name: str) -> str:
    """Return a training job of the tuning job that has not ended."""
    children = listed(sagemaker, name)
    return next(
        str(c["TrainingJobName"]) for c in children if c["TrainingJobStatus"] == "InProgress"
    )


def test_starts_and_stops_are_recorded_once_across_restarts(sandbox_url: str, tmp_path: Path):
    profile(tmp_path)
    with OpenTrail(tmp_path / "data", upstream=sandbox_url, config=SETTINGS) as server:
        assert "tuning" not in server.errors()
        sagemaker = server.client("sagemaker", Key(ACCOUNT, "of-no-value"))
        sagemaker.create_hyper_parameter_tuning_job(**tuning_job("churn", jobs=100, parallel=3))
        wait_until(lambda: len(service_events(server)) >= 3, seconds_max=WAIT_S_MAX)

        server.kill()
        server.start()
        by_call = running(sagemaker, "churn")
        sagemaker.stop_training_job(TrainingJobName=by_call)
        sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="churn")
        server.kill_back()

        children = listed(sagemaker, "churn")
        stopped = {
            child["TrainingJobName"]
            for child in children
            if child["TrainingJobStatus"] in ("Stopping", "Stopped")
        }
        wanted = {("CreateTrainingJob", child["TrainingJobName"]) for child in children}
        wanted |= {("StopTrainingJob", name) for name in stopped - {by_call}}
        assert len(wanted) >= 5
        wait_until(lambda: set(service_events(server)) == wanted, seconds_max=WAIT_S_MAX)
        time.sleep(1.5)  # two more looks
        assert set(service_events(server).values()) == {1}


def test_without_credentials_the_start_says_so_and_a_gap_event_does(
    sandbox_url: str, tmp_path: Path
):
    with OpenTrail(tmp_path / "data", upstream=sandbox_url) as server:
        wait_until(lambda: "tuning.credentials_profile" in server.errors())
        sagemaker = server.client("sagemaker", Key(ACCOUNT, "of-no-value"))
        sagemaker.create_hyper_parameter_tuning_job(**tuning_job("blind", jobs=2, parallel=1))
        wait_until(lambda: service_events(server) == {("RecordingGap", ""): 1})
        server.restart()
        time.sleep(1.5)
        assert service_events(server) == {("RecordingGap", ""): 1}
