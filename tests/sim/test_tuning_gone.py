# SPDX-License-Identifier: Apache-2.0
"""Tuning jobs that are gone, not there yet, or without a name: what is missing is said."""

from support.tuning_world import ACCOUNT, REGION, World, call, created

from opentrail.capture.tuning import UNWATCHED

GONE_MS = 61_000
"""Longer than a new tuning job may be out of sight."""


def test_a_job_that_is_deleted_before_its_end_was_seen_leaves_a_gap_event():
    world = World()
    world.create("churn")
    world.upstream.start_child("churn", world.clock.ms)
    world.look()
    del world.upstream.families["churn"]  # whatever it stopped at its end was never shown
    world.look()
    assert world.events() == [("CreateTrainingJob", "churn-000"), ("RecordingGap", UNWATCHED)]
    world.restart()
    world.look()
    assert len(world.events()) == 2


def test_of_a_job_that_is_deleted_at_its_end_the_stops_are_recorded():
    world = World()
    world.create("churn")
    world.upstream.start_child("churn", world.clock.ms)
    world.look()
    world.upstream.change("churn", "Stopped", "Stopped")
    world.look()
    del world.upstream.families["churn"]
    world.look()
    assert world.events() == [("CreateTrainingJob", "churn-000"), ("StopTrainingJob", "churn-000")]


def test_a_job_that_ended_and_was_deleted_leaves_none_after_a_restart_either():
    world = World()
    world.create("older")  # holds the cursor, so that a restart reads all of it again
    world.create("churn")
    world.upstream.start_child("churn", world.clock.ms)
    world.upstream.change("churn", "Completed", "Completed")
    world.look(times=2)
    del world.upstream.families["churn"]
    world.restart()
    world.look()
    world.create("churn")
    world.look(times=2)
    assert world.events() == [("CreateTrainingJob", "churn-000")]


def test_a_new_job_that_is_not_shown_at_once_is_asked_about_again():
    world = World()
    world.log.append([created("churn")])
    world.steps()
    world.upstream.begin("churn")
    world.upstream.start_child("churn", world.clock.ms)
    world.look()
    assert world.events() == [("CreateTrainingJob", "churn-000")]


def test_a_name_that_is_used_again_leaves_a_gap_event_of_the_first():
    world = World()
    world.create("churn")
    world.upstream.start_child("churn", world.clock.ms)
    world.look()
    world.create("Churn")  # SageMaker tells no capitals apart
    world.upstream.start_child("Churn", world.clock.ms)
    world.look()
    found = {("CreateTrainingJob", "churn-000"), ("CreateTrainingJob", "Churn-000")}
    assert set(world.events()) == found | {("RecordingGap", UNWATCHED)}
    world.restart()
    world.look(times=2)
    assert len(world.events()) == 3


UNKNOWN = {"additionalEventData": {"outcome": "unknown"}}


def test_a_creation_that_may_have_failed_is_not_taken_for_a_second_job():
    world = World()
    world.create("churn")
    world.upstream.start_child("churn", world.clock.ms)
    world.look()
    world.log.append([created("churn", **UNKNOWN)])
    world.look(times=2)
    assert world.events() == [("CreateTrainingJob", "churn-000")]


def test_a_creation_of_unknown_outcome_that_did_fail_leaves_nothing():
    world = World()
    world.log.append([created("churn", **UNKNOWN)])
    world.steps()
    world.clock.ms += GONE_MS
    world.look(times=2)
    assert world.events() == []
    assert world.watcher.floor() == world.log.durable_end()


def test_the_answer_names_a_job_whose_request_was_too_large_to_keep():
    omitted = {"reason": "requestParameters too large", "omitted": True, "originalSize": 149893}
    arn = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:hyper-parameter-tuning-job/churn"
    answer = {"hyperParameterTuningJobArn": arn}
    world = World()
    world.upstream.begin("churn")
    world.log.append(
        [call("CreateHyperParameterTuningJob", omitted, responseElements=answer)],
    )
    world.upstream.start_child("churn", world.clock.ms)
    world.look()
    assert world.events() == [("CreateTrainingJob", "churn-000")]


def test_a_job_without_a_name_leaves_a_gap_event():
    world = World()
    world.log.append([call("CreateHyperParameterTuningJob", None, **UNKNOWN)])
    world.look()
    world.restart()
    world.look()
    assert world.events() == [("RecordingGap", UNWATCHED)]
