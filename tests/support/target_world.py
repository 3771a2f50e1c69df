# SPDX-License-Identifier: Apache-2.0
"""Deliveries with targets beside the buckets: real ones, at moto's server or a receiver."""

import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from support.aws_clients import Key, client
from support.delivery_world import ACCOUNTS, World
from support.receiver import Receiver

from opentrail.clock import Clock, SystemClock
from opentrail.state.base import Entry as StateEntry
from opentrail.trails.announce import Announcer
from opentrail.trails.deliver import Delivery, Rooms
from opentrail.trails.feed import Feeder
from opentrail.trails.target import Announces, Copies, TargetRooms
from opentrail.trails.target_client import Clients, Endpoints
from opentrail.trails.target_events import EventsTarget
from opentrail.trails.target_logs import LogsTarget
from opentrail.trails.target_setting import TargetSetting, WebhookSetting
from opentrail.trails.target_sns import SnsTarget
from opentrail.trails.target_webhook import Webhook
from opentrail.trails.trail import Trail

SECRET = "a-secret-of-the-tests"
SIGNS = Key("AKIATESTTARGETS", "secret-of-the-tests")
SERVICES = ("sns", "logs", "events", "kms", "sts")
_numbers = itertools.count()


class TargetWorld(World):
    """A world whose trails tell and copy."""

    def __init__(self, announced: tuple[Announces, ...], copied: tuple[Copies, ...]) -> None:
        self.announced, self.copied = announced, copied
        super().__init__()
        # Log groups refuse what is two weeks old.
        self.clock.ms = SystemClock().now_ms()

    def restart(self, backup: dict[str, StateEntry] | None = None) -> None:
        super().restart(backup)
        rooms = TargetRooms(self.log, self.state, self.threads, self.registry.trails)
        self.announcer = Announcer(self.announced, rooms, self.clock)
        self.feeder = Feeder(self.copied, rooms, self.clock)
        parts = Rooms(
            self.log, self.state, self.buckets, self.threads, notices=self.announcer.notices
        )
        self.delivery = Delivery(parts, self.clock, self.interval_s, self.limits)

    def run(self) -> None:
        for _ in range(3):
            super().run()
            for _ in range(500):
                self.clock.seconds += 1000
                told, copied = self.announcer.step(), self.feeder.step()
                if not told and not copied:
                    break


@dataclass
class Seen:
    """One kind of target, and what arrived there."""

    name: str
    target: Any
    connect: dict[str, object]
    """What of a trail connects it."""
    arrived: Callable[[], list[str]]
    """The ids of the events, or the keys of the files, in the order in which they came."""
    break_it: Callable[[], None]
    """From now on it refuses."""
    mend_it: Callable[[], None]
    code: str
    """What it refuses with."""
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def files(self) -> bool:
        """It is told of files; else it gets copies of records."""
        return self.name in ("sns", "webhook-siem")

    def world(self) -> TargetWorld:
        """Return a world with this target."""
        return TargetWorld((self.target,), ()) if self.files else TargetWorld((), (self.target,))


@cache
def direct_client(service: str, url: str) -> Any:
    """Return a client of the tests' own: making one takes a third of a second."""
    return client(service, url, SIGNS)


@cache
def clients(url: str, setting: TargetSetting | None = None) -> Clients:
    """Return clients of a server that is everything."""
    clock = SystemClock()
    endpoints = Endpoints(
        dict.fromkeys(SERVICES, url), (SIGNS.access_key_id, SIGNS.secret_access_key)
    )
    return Clients(setting or TargetSetting(), endpoints, clock)


def sns_at(url: str, direct: str) -> Seen:
    """Return a topic, behind ``url``; a queue shows what it got."""
    number = next(_numbers)
    sns, sqs = (direct_client(service, direct) for service in ("sns", "sqs"))
    queue = sqs.create_queue(QueueName=f"queue-{number}")["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    name = f"topic-{number}"

    def make() -> str:
        arn: str = sns.create_topic(Name=name)["TopicArn"]
        sns.subscribe(
            TopicArn=arn,
            Protocol="sqs",
            Endpoint=attributes["Attributes"]["QueueArn"],
            Attributes={"RawMessageDelivery": "true"},
        )
        return arn

    arn = make()
    bodies: list[str] = []

    def arrived() -> list[str]:
        while True:
            got = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
            if not got:
                break
            for each in got:
                bodies.append(each["Body"])
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=each["ReceiptHandle"])
        told = [json.loads(body) for body in bodies if body.startswith("{")]
        return [key for body in told for key in body["s3ObjectKey"]]

    def drop() -> None:
        sns.delete_topic(TopicArn=arn)

    def mend() -> None:
        make()

    target = SnsTarget(clients(url))
    more = {"arn": arn, "bodies": bodies}
    return Seen("sns", target, {"sns_topic": arn}, arrived, drop, mend, "NotFound", more)


def logs_at(url: str, direct: str) -> Seen:
    """Return a log group behind ``url``."""
    group = f"audit-{next(_numbers)}"
    logs = direct_client("logs", direct)

    def make() -> None:
        logs.create_log_group(logGroupName=group)

    make()

    def streams() -> dict[str, list[dict[str, Any]]]:
        found = {}
        for stream in logs.describe_log_streams(logGroupName=group)["logStreams"]:
            name = stream["logStreamName"]
            answer = logs.get_log_events(logGroupName=group, logStreamName=name, startFromHead=True)
            found[name] = answer["events"]
        return found

    def arrived() -> list[str]:
        return [
            json.loads(each["message"])["eventID"]
            for events in streams().values()
            for each in events
        ]

    def drop() -> None:
        logs.delete_log_group(logGroupName=group)

    target = LogsTarget(clients(url), 0)
    connect: dict[str, object] = {
        "log_group_arn": f"arn:aws:logs:us-east-1:{ACCOUNTS[0]}:log-group:{group}:*",
        "log_role_arn": "arn:aws:iam::123456789012:role/trail-logs",
    }
    more = {"group": group, "streams": streams, "logs": logs}
    return Seen("logs", target, connect, arrived, drop, make, "ResourceNotFoundException", more)


def events_at(url: str, direct: str) -> Seen:
    """Return a bus behind ``url``; a rule copies what it gets to a log group."""
    number = next(_numbers)
    bus, group = f"bus-{number}", f"/aws/events/{number}"
    events, logs = (direct_client(service, direct) for service in ("events", "logs"))
    logs.create_log_group(logGroupName=group)

    def make() -> None:
        events.create_event_bus(Name=bus)
        events.put_rule(
            Name="all",
            EventBusName=bus,
            EventPattern=json.dumps({"account": [ACCOUNTS[0], "123456789012"]}),
        )
        events.put_targets(
            Rule="all",
            EventBusName=bus,
            Targets=[{"Id": "1", "Arn": f"arn:aws:logs:us-east-1:123456789012:log-group:{group}"}],
        )

    make()

    def whole() -> list[dict[str, Any]]:
        found = logs.filter_log_events(logGroupName=group)["events"]
        return [json.loads(each["message"]) for each in found]

    def arrived() -> list[str]:
        return [each["detail"]["eventID"] for each in whole()]

    def drop() -> None:
        events.remove_targets(Rule="all", EventBusName=bus, Ids=["1"])
        events.delete_rule(Name="all", EventBusName=bus)
        events.delete_event_bus(Name=bus)

    setting = TargetSetting(events=True, events_bus=bus)
    target = EventsTarget(clients(url), setting)
    return Seen("events", target, {}, arrived, drop, make, "", {"whole": whole})


def webhook_at(found: Receiver, clock: Clock, url: str = "") -> Seen:
    """Return a webhook to ``found``."""

    def arrived() -> list[str]:
        return [key for _, body in found.came for key in json.loads(body)["s3ObjectKey"]]

    def drop() -> None:
        found.answers = [403] * 100

    def mend() -> None:
        found.answers = []

    target = Webhook("siem", WebhookSetting(url=url or found.url, secret=SECRET), clock)
    return Seen("webhook-siem", target, {}, arrived, drop, mend, "HTTP403")


def connected(world: TargetWorld, seen: Seen) -> Trail:
    """Return a trail that logs, connected with a target."""
    return connected_trail(world, **seen.connect)


def connected_trail(world: TargetWorld, **connect: object) -> Trail:
    """Return a trail that logs, connected as ``connect`` says."""
    return world.registry.start(world.create("trail", ACCOUNTS[0], **connect))
