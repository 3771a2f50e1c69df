# SPDX-License-Identifier: Apache-2.0
"""Each training job that a tuning job starts or stops is recorded once, whatever fails and restarts.

Appends and commits that fail and did or did not happen, an upstream that is away, callers that stop
training jobs themselves, old copies of state, an index that lags, restarts, in any order.
"""

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from support.log_files import Fault
from support.memory_log import MemoryLog
from support.tuning_world import ACCOUNT, POLL_S, REGION, World, call, created

from opentrail.capture.tuning import UNWATCHED, WATCH_MS_MAX
from opentrail.errors import ClientError, Corrupt, Unavailable
from opentrail.eventlog.base import Draft, Origin
from opentrail.history.index import History, Sizes

faults = st.sampled_from([Fault.NONE, Fault.NONE, Fault.LOST, Fault.KEPT])


class TuningOnce(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.stopped_by_call: set[str] = set()
        self.backup = self.world.state.copy()
        self.names: list[str] = []

    @rule()
    def create(self):
        name = f"job{len(self.names)}"
        self.names.append(name)
        self.world.create(name)

    @rule(index=st.integers(0, 9))
    def start_child(self, index):
        running = [n for n in self.names if self.world.upstream.families[n].status == "InProgress"]
        if running:
            self.world.upstream.start_child(running[index % len(running)], self.world.clock.ms)

    @rule(index=st.integers(0, 9), child=st.integers(0, 9), later=st.booleans())
    def stop_child_by_call(self, index, child, later):
        """Stop a training job as a caller does; its record may come after the watcher looked."""
        if not self.names:
            return
        name = self.names[index % len(self.names)]
        children = self.world.upstream.families[name].children
        if not children or children[child % len(children)].status != "InProgress":
            return
        stopped = self.world.upstream.stop_child(name, child)
        if later:
            self.world.clock.ms += int(POLL_S * 1000)
            self.attempt(self.world.steps)
        self.world.log.fault = Fault.NONE
        self.world.log.append([call("StopTrainingJob", {"trainingJobName": stopped})])
        self.stopped_by_call.add(stopped)

    @rule(index=st.integers(0, 9), status=st.sampled_from(["Completed", "Stopped", "Failed"]))
    def end(self, index, status):
        if self.names:
            name = self.names[index % len(self.names)]
            child_status = "Stopped" if status == "Stopped" else "Completed"
            self.world.upstream.change(name, status, child_status)

    @rule(log=faults, state=faults, seconds=st.sampled_from([0, 5, 10, 61, 400]))
    def look(self, log, state, seconds):
        self.world.clock.ms += seconds * 1000
        self.world.log.fault, self.world.state.fault = log, state
        self.attempt(self.world.steps)
        self.world.log.fault = self.world.state.fault = Fault.NONE

    @rule(near_bytes=st.sampled_from([0, 2000, 1 << 20]))
    def near_is(self, near_bytes):
        self.world.near_bytes = self.world.watcher.near_bytes = near_bytes

    @rule(error=st.sampled_from(["none", "away", "denied"]))
    def upstream_fails(self, error):
        self.world.upstream.fails = {
            "none": None,
            "away": Unavailable("away"),
            "denied": ClientError("AccessDeniedException", "no"),
        }[error]

    @rule(old=st.booleans())
    def restart(self, old):
        if old:
            self.world.state.restore(self.backup)
        self.attempt(self.world.restart)

    @rule(records=st.integers(1, 8))
    def index(self, records):
        self.world.lagging.go_on(records)

    @rule()
    def back_up(self):
        self.backup = self.world.state.copy()

    def attempt(self, action):
        try:
            action()
        except Unavailable:
            pass

    @invariant()
    def nothing_twice(self):
        counts = Counter(self.world.events())
        assert not [event for event, count in counts.items() if count > 1 and event[1] != UNWATCHED]

    @invariant()
    def callers_stops_are_theirs(self):
        stops = {child for name, child in self.world.events() if name == "StopTrainingJob"}
        assert not stops & self.stopped_by_call

    def teardown(self):
        """Faults stop; then every start and every stop is there."""
        self.world.upstream.fails = None
        self.world.look(times=3)
        wanted = set()
        for family in self.world.upstream.families.values():
            for child in family.children:
                wanted.add(("CreateTrainingJob", child.name))
                if child.status == "Stopped" and child.name not in self.stopped_by_call:
                    wanted.add(("StopTrainingJob", child.name))
        found = {event for event in self.world.events() if event[1] != UNWATCHED}
        assert found == wanted


TestTuningOnce = TuningOnce.TestCase
TestTuningOnce.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


def test_a_job_that_nobody_may_ask_about_leaves_one_gap_event():
    world = World()
    world.upstream.allowed = False
    world.create("churn")
    world.look()
    world.restart()
    world.look()
    assert world.events() == [("RecordingGap", UNWATCHED)]


def test_a_refused_question_leaves_one_gap_event_and_goes_on():
    world = World()
    world.create("churn")
    world.upstream.start_child("churn", world.clock.ms)
    world.upstream.fails = ClientError("AccessDeniedException", "no")
    world.look(times=3)
    assert world.events() == [("RecordingGap", UNWATCHED)]
    world.upstream.fails = None
    world.look()
    assert world.events()[1:] == [("CreateTrainingJob", "churn-000")]


def test_a_job_is_given_up_when_no_tuning_job_can_run_that_long():
    world = World()
    world.create("churn")
    world.upstream.fails = Unavailable("away")
    world.look()
    world.clock.ms += WATCH_MS_MAX - 400_001
    world.steps()
    assert world.events() == []
    world.look()
    assert world.events() == [("RecordingGap", UNWATCHED)]


def test_a_failed_creation_and_other_services_are_not_watched():
    world = World()
    world.log.append(
        [
            created("failed", errorCode="ResourceInUse"),
            created("other", eventSource="example.amazonaws.com"),
            Draft(Origin.IMPORT, created("imported").data),
            Draft(Origin.INTAKE, created("sent").data),
        ]
    )
    for name in ("failed", "other", "imported", "sent"):
        world.upstream.begin(name)
        world.upstream.start_child(name, world.clock.ms)
    world.look(times=2)
    assert world.events() == []


def test_the_record_is_a_service_event():
    world = World()
    world.create("churn")
    world.upstream.start_child("churn", world.clock.ms)
    world.look()
    record = [json.loads(entry.data) for entry in world.log.entries(0)][-1]
    event_id = record.pop("eventID")
    assert event_id[14] == "8"
    assert record == {
        "eventVersion": "1.11",
        "userIdentity": {"accountId": ACCOUNT, "invokedBy": "sagemaker.amazonaws.com"},
        "eventTime": "2023-11-14T22:13:20Z",
        "eventSource": "sagemaker.amazonaws.com",
        "eventName": "CreateTrainingJob",
        "awsRegion": REGION,
        "sourceIPAddress": "sagemaker.amazonaws.com",
        "userAgent": "sagemaker.amazonaws.com",
        "requestParameters": None,
        "responseElements": None,
        "readOnly": False,
        "eventType": "AwsServiceEvent",
        "managementEvent": True,
        "recipientAccountId": ACCOUNT,
        "serviceEventDetails": {
            "hyperParameterTuningJobArn": "arn:churn",
            "trainingJobName": "churn-000",
            "trainingJobArn": "arn:churn-000",
            "status": "InProgress",
        },
        "eventCategory": "Management",
    }


class CountedLog(MemoryLog):
    """Counts the records that are read in passing."""

    passed = 0

    def entries(self, start, end=None):
        for entry in super().entries(start, end):
            self.passed += 1
            yield entry


def other(number: int) -> Draft:
    return call("DescribeTrainingJob", {"trainingJobName": f"job-{number}"})


@pytest.mark.parametrize("watched", [False, True])
def test_a_restart_does_not_read_what_the_index_knows(watched, tmp_path: Path):
    world = World()
    world.log = log = CountedLog(now_ms=world.clock.now_ms)
    log.append([other(number) for number in range(1000)])
    if watched:
        world.create("churn")
        world.upstream.start_child("churn", world.clock.ms)
        log.append([other(number) for number in range(1000)])
    world.index = history = History.open(tmp_path, log, world.clock, sizes=Sizes(flush_rows=800))
    while history.step():
        pass
    log.passed = 0
    world.restart()
    world.look()
    assert log.passed < 10
    assert world.events() == ([("CreateTrainingJob", "churn-000")] if watched else [])
    # Nor does a server that is busy meanwhile.
    log.append([other(number) for number in range(1000)])
    world.create("late")
    while history.step():
        pass
    world.upstream.start_child("late", world.clock.ms)
    log.passed = 0
    world.look()
    assert log.passed < 50
    assert world.events()[-1] == ("CreateTrainingJob", "late-000")


class BrokenIndex:
    def named(self, event_names, start):
        raise Corrupt("a run is damaged", f"{event_names} from {start}", "none")


def test_a_damaged_index_loses_no_tuning_job():
    world = World()
    world.create("churn")
    world.upstream.start_child("churn", world.clock.ms)
    world.index = BrokenIndex()
    world.restart()
    world.look()
    assert world.events() == [("CreateTrainingJob", "churn-000")]


def test_the_log_is_needed_from_the_oldest_watched_job_on():
    world = World()
    world.log.append([created("x", eventSource="example.amazonaws.com")])
    position = world.log.durable_end()
    world.create("churn")
    world.look()
    assert world.watcher.floor() == position
    world.upstream.change("churn", "Completed", "Completed")
    world.look(times=2)
    assert world.watcher.floor() > position
