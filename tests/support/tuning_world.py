# SPDX-License-Identifier: Apache-2.0
"""A log, an index that lags behind it, and an upstream with tuning jobs: where the watcher works."""

import json
from collections.abc import Sequence

from support.memory_log import MemoryLog
from support.memory_state import MemoryState
from support.moved_clock import MovedClock

from opentrail.capture.tuning import Index, TuningWatcher
from opentrail.capture.tuning_jobs import Child, Family
from opentrail.errors import ClientError
from opentrail.eventlog.base import Draft, Origin

ACCOUNT, REGION = "111122223333", "us-west-2"
POLL_S = 10.0


class Upstream:
    """SageMaker as far as the watcher asks it."""

    def __init__(self) -> None:
        self.families: dict[str, Family] = {}
        self.fails: Exception | None = None
        self.allowed = True

    def may_ask(self, account: str) -> bool:
        return self.allowed and account == ACCOUNT

    def family(self, account: str, region: str, name: str) -> Family:
        assert (account, region) == (ACCOUNT, REGION)
        if self.fails:
            raise self.fails
        if name not in self.families:
            raise ClientError("ResourceNotFound", "no such job")
        return self.families[name]

    def begin(self, name: str) -> None:
        self.families[name] = Family(f"arn:{name}", "InProgress", ())

    def start_child(self, name: str, now_ms: int) -> None:
        family = self.families[name]
        child = f"{name}-{len(family.children):03d}"
        children = (*family.children, Child(child, f"arn:{child}", "InProgress", now_ms))
        self.families[name] = Family(family.arn, family.status, children)

    def change(self, name: str, status: str, child_status: str) -> None:
        family = self.families[name]
        children = [
            Child(c.name, c.arn, child_status, c.created_ms) if c.status == "InProgress" else c
            for c in family.children
        ]
        self.families[name] = Family(family.arn, status, tuple(children))

    def stop_child(self, name: str, index: int) -> str:
        """Stop one child, as its caller asked; return its name."""
        family = self.families[name]
        children = list(family.children)
        child = children[index % len(children)]
        if child.status == "InProgress":
            children[index % len(children)] = Child(
                child.name, child.arn, "Stopped", child.created_ms
            )
        self.families[name] = Family(family.arn, family.status, tuple(children))
        return child.name


def call(name: str, parameters: object, **more: object) -> Draft:
    """The record of a call to SageMaker that passed the gateway."""
    record = {
        "eventTime": "2023-11-14T22:13:20Z",
        "eventSource": "sagemaker.amazonaws.com",
        "eventName": name,
        "awsRegion": REGION,
        "requestParameters": parameters,
        "eventID": f"call-{parameters}",
        "eventType": "AwsApiCall",
        "recipientAccountId": ACCOUNT,
        **more,
    }
    return Draft(Origin.CAPTURE, json.dumps(record, separators=(",", ":")).encode())


def created(name: str, **more: object) -> Draft:
    return call("CreateHyperParameterTuningJob", {"hyperParameterTuningJobName": name}, **more)


class LaggingIndex:
    """What ``History`` says of a log, up to where it was told to go."""

    def __init__(self, log: MemoryLog) -> None:
        self.log = log
        self.end = 0

    def go_on(self, records: int) -> None:
        there = [entry.position for entry in self.log.entries(self.end)]
        self.end = [*there, self.log.durable_end()][min(records, len(there))]

    def named(self, event_names: Sequence[str], start: int) -> tuple[list[int], int]:
        there = self.log.entries(start, self.end) if start < self.end else ()
        found = [e.position for e in there if json.loads(e.data)["eventName"] in event_names]
        return found, self.end


class World:
    def __init__(self) -> None:
        self.clock = MovedClock()
        self.log = MemoryLog(now_ms=self.clock.now_ms)
        self.state = MemoryState()
        self.upstream = Upstream()
        self.lagging = LaggingIndex(self.log)
        self.index: Index = self.lagging
        self.near_bytes = 0
        self.restart()

    def restart(self) -> None:
        self.watcher = TuningWatcher(
            self.log, self.index, self.state, self.upstream, self.clock, POLL_S
        )
        self.watcher.near_bytes = self.near_bytes

    def create(self, name: str) -> None:
        self.upstream.begin(name)
        self.log.append([created(name)])

    def steps(self) -> None:
        while self.watcher.step():
            pass

    def look(self, times: int = 1) -> None:
        for _ in range(times):
            self.clock.ms += 400_000  # past every wait
            self.steps()

    def events(self) -> list[tuple[str, str]]:
        """(eventName, training job) of each service event."""
        found = []
        for entry in self.log.entries(0):
            record = json.loads(entry.data)
            if record["eventType"] == "AwsServiceEvent":
                details = record["serviceEventDetails"]
                found.append(
                    (record["eventName"], details.get("trainingJobName") or details["reason"])
                )
        return found
