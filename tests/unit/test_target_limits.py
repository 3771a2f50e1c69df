# SPDX-License-Identifier: Apache-2.0
"""Bounds of what targets are sent, on both sides; entries that fail alone; what settings may say."""

import contextlib
import json
import socket
import threading

import msgspec
import pytest
from support.delivery_world import ACCOUNTS, record
from support.memory_log import MemoryLog
from support.target_world import TargetWorld, clients, connected_trail

from opentrail.errors import ClientError, Unavailable, UsageError
from opentrail.event.caps import RECORD_BYTES_MAX
from opentrail.event.codec import decode
from opentrail.trails import target_webhook
from opentrail.trails.batch import ITEMS_MAX, next_batch
from opentrail.trails.feedstate import Feed
from opentrail.trails.status import TargetStatus, target_status_key
from opentrail.trails.target import Copied
from opentrail.trails.target_client import Clients, Endpoints, Service
from opentrail.trails.target_events import ENTRIES_MAX, TRIES_MAX, EventsTarget
from opentrail.trails.target_logs import (
    BATCH_BYTES_MAX,
    EVENT_BYTES_MAX,
    EVENTS_MAX,
    OVERHEAD_BYTES,
    LogsTarget,
)
from opentrail.trails.target_setting import (
    SECRET_CHARS_MIN,
    TargetSetting,
    WebhookSetting,
    check_targets,
    check_webhook,
)
from opentrail.trails.target_webhook import FILES_MAX, Webhook, signature
from opentrail.trails.trail import Trail

TRAIL = Trail(
    id="7d3c1a52-0000-4000-8000-000000000001",
    name="audit",
    account=ACCOUNTS[0],
    home_region="us-east-1",
    bucket="logs",
    log_group_arn=f"arn:aws:logs:us-east-1:{ACCOUNTS[0]}:log-group:audit:*",
    log_role_arn=f"arn:aws:iam::{ACCOUNTS[0]}:role/logs",
    logging=True,
)


class Recorded(Clients):
    """Clients that answer what a test says, and keep what was asked."""

    def __init__(self, *answers):
        endpoints = Endpoints(regions=("own-region-1",))
        super().__init__(TargetSetting(), endpoints, TargetWorld((), ()).clock)
        self.answers = list(answers)
        self.asked = []

    def call(self, service, operation, **arguments):
        self.asked.append((service, operation, arguments))
        answer = self.answers.pop(0) if self.answers else {}
        if isinstance(answer, Exception):
            raise answer
        return answer


def sized(size, number=1):
    """A record of so many bytes."""
    data = record(number, ACCOUNTS[0], "us-east-1")
    return record(number, ACCOUNTS[0], "us-east-1", note="x" * (size - len(data)))


def batch_of(target, *sizes):
    log = MemoryLog()
    start = log.durable_end()
    log.append([sized(size, number) for number, size in enumerate(sizes)])
    owner = TRAIL.account if target.shared else TRAIL.id
    return next_batch(target, owner, Feed(start, (TRAIL,)), log)


LOGS = LogsTarget(Recorded(), 0)
EVENTS = EventsTarget(Recorded(), TargetSetting(events=True))


def test_the_largest_event_that_a_log_group_gets():
    largest = EVENT_BYTES_MAX - OVERHEAD_BYTES
    assert largest < RECORD_BYTES_MAX
    whole = batch_of(LOGS, largest)
    assert ([len(each.data) for each in whole.records], whole.given_up) == ([largest], 0)
    over = batch_of(LOGS, largest + 1, 500)
    assert ([len(each.data) for each in over.records], over.given_up) == ([500], 1)


def test_a_batch_has_a_megabyte_at_most():
    each = BATCH_BYTES_MAX // 8 - OVERHEAD_BYTES
    assert len(batch_of(LOGS, *[each] * 9).records) == 8
    assert len(batch_of(LOGS, *[each] * 7, each + 1, each).records) == 7


def test_a_batch_has_ten_thousand_events_at_most():
    assert EVENTS_MAX == 10_000
    small = LogsTarget(Recorded(), 0)
    small.batch_max = 3
    assert len(batch_of(small, *[500] * 5).records) == 3


def test_so_much_is_read_at_once():
    log = MemoryLog()
    start = log.durable_end()
    data = sized(500)
    log.append([data] * (ITEMS_MAX + 1))
    first = next_batch(LOGS, TRAIL.id, Feed(start, (TRAIL,)), log)
    assert first is not None
    assert len(first.records) == min(ITEMS_MAX, BATCH_BYTES_MAX // (500 + OVERHEAD_BYTES))
    stopped = msgspec.structs.replace(TRAIL, account=ACCOUNTS[1])
    passed = next_batch(LOGS, TRAIL.id, Feed(start, (stopped,)), log)
    assert passed is not None
    assert (passed.records, passed.after.position < log.durable_end()) == ([], True)


def copies(count):
    made = (record(number, ACCOUNTS[0], "us-east-1") for number in range(count))
    return [Copied(data, decode(data), ACCOUNTS[0]) for data in made]


def test_the_bus_gets_ten_at_once_as_cloudtrail_words_them():
    calls = Recorded(failing(*[""] * ENTRIES_MAX))
    EventsTarget(calls, TargetSetting(events=True)).send(TRAIL, copies(ENTRIES_MAX), 0)
    ((service, operation, arguments),) = calls.asked
    assert (service, operation) == (Service("events", "us-east-1"), "put_events")
    entries = arguments["Entries"]
    assert len(entries) == 10
    assert entries[0]["Source"] == "aws.s3"
    assert entries[0]["DetailType"] == "AWS API Call via CloudTrail"
    assert json.loads(entries[3]["Detail"])["eventID"] == "3"
    assert len(batch_of(EVENTS, *[500] * 11).records) == 10


def test_a_region_that_is_none_has_no_bus():
    """Any call may claim one: at AWS its name is unknown, and what follows would wait for it."""
    calls = Recorded(failing("", ""), failing(""))
    claimed = ["us-east-1", "own-region-1", "zz-nowhere-1"]
    data = [record(number, ACCOUNTS[0], region) for number, region in enumerate(claimed)]
    some = [Copied(each, decode(each, "test"), ACCOUNTS[0]) for each in data]
    EventsTarget(calls, TargetSetting(events=True)).send(TRAIL, some, 0)
    assert [service.region for service, _, _ in calls.asked] == ["us-east-1", "own-region-1"]
    (_, _, arguments), _ = calls.asked
    assert json.loads(arguments["Entries"][1]["Detail"])["awsRegion"] == "zz-nowhere-1"


def failing(*codes):
    results = [
        {"ErrorCode": code, "ErrorMessage": "m"} if code else {"EventId": "1"} for code in codes
    ]
    return {"FailedEntryCount": sum(map(bool, codes)), "Entries": results}


def test_entries_that_fail_for_a_while_are_put_again_alone():
    calls = Recorded(failing("", "ThrottlingException", ""), failing(""))
    EventsTarget(calls, TargetSetting(events=True)).send(TRAIL, copies(3), 0)
    again = calls.asked[1][2]["Entries"]
    assert [json.loads(each["Detail"])["eventID"] for each in again] == ["1"]
    calls = Recorded(*[failing("InternalFailure")] * TRIES_MAX)
    with pytest.raises(Unavailable):
        EventsTarget(calls, TargetSetting(events=True)).send(TRAIL, copies(1), 0)
    assert len(calls.asked) == TRIES_MAX


def test_an_entry_that_is_refused_is_an_error():
    calls = Recorded(failing("NotAuthorizedForSourceException"))
    with pytest.raises(ClientError) as caught:
        EventsTarget(calls, TargetSetting(events=True)).send(TRAIL, copies(1), 0)
    assert caught.value.code == "NotAuthorizedForSourceException"


def test_an_entry_that_a_bus_refuses_while_it_takes_others_holds_up_nobody(caplog):
    bad = failing("MalformedDetail")
    calls = Recorded(failing("", "MalformedDetail", ""), bad, bad)
    assert EventsTarget(calls, TargetSetting(events=True)).send(TRAIL, copies(3), 0) == 1
    assert len(calls.asked) == TRIES_MAX
    assert [each.getMessage() for each in caplog.records] == [
        "the bus refuses event '1' (MalformedDetail): it is given up"
    ]


def test_a_batch_that_a_bus_refuses_for_one_entry_is_put_one_by_one():
    refusal = ClientError("ValidationException", "m")
    calls = Recorded(refusal, failing(""), refusal, failing(""), refusal, refusal)
    assert EventsTarget(calls, TargetSetting(events=True)).send(TRAIL, copies(3), 0) == 1
    assert [len(asked["Entries"]) for _, _, asked in calls.asked] == [3, 1, 1, 1, 1, 1]


@pytest.mark.parametrize(
    "answers",
    [
        [failing("MalformedDetail", "MalformedDetail")],
        [failing("", "AccessDeniedException")],
        [failing("", "NotAuthorizedForSourceException")],
        [ClientError("ResourceNotFoundException", "m")] * 3,
        [ClientError("AccessDeniedException", "m")],
    ],
    ids=["all", "denied", "source", "bus", "call"],
)
def test_what_somebody_can_mend_is_held(answers):
    calls = Recorded(*answers)
    with pytest.raises(ClientError):
        EventsTarget(calls, TargetSetting(events=True)).send(TRAIL, copies(2), 0)
    assert len(calls.asked) == len(answers)


def test_what_a_bus_refuses_for_good_is_counted_and_the_feed_goes_on():
    refusals = [failing("MalformedDetail")] * 2
    calls = Recorded(failing("", "MalformedDetail"), *refusals, failing(""))
    world = TargetWorld((), (EventsTarget(calls, TargetSetting(events=True)),))
    connected_trail(world)
    for _ in range(2):
        world.write()
    world.run()
    entry = world.state.get(target_status_key(ACCOUNTS[0], "events"))
    assert entry is not None
    assert msgspec.json.decode(entry.value, type=TargetStatus).given_up == 1
    world.write()
    world.run()
    assert len(calls.asked) == TRIES_MAX + 1


@pytest.mark.parametrize(
    ("read_only", "setting", "taken"),
    [
        (True, False, False),
        (True, True, True),
        (False, False, True),
    ],
)
def test_reads_reach_the_bus_only_when_asked_for(read_only, setting, taken):
    target = EventsTarget(Recorded(), TargetSetting(events=True, events_read_only=setting))
    managed = decode(record(1, ACCOUNTS[0], "us-east-1", read_only=read_only))
    assert target.takes(managed) is taken
    data = decode(record(1, ACCOUNTS[0], "us-east-1", read_only=read_only, category="Data"))
    assert target.takes(data)


def test_a_stream_that_somebody_deleted_is_made_again():
    gone = ClientError("ResourceNotFoundException", "no stream")
    calls = Recorded({}, {}, {}, gone)
    target = LogsTarget(calls, 30)
    target.send(TRAIL, copies(1), 5)
    target.send(TRAIL, copies(1), 6)
    made = ["put_retention_policy", "create_log_stream", "put_log_events"]
    assert [operation for _, operation, _ in calls.asked] == [*made, "put_log_events", *made]
    assert calls.asked[0][2]["retentionInDays"] == 30
    assert calls.asked[2][2]["logEvents"][0]["timestamp"] == 5


def test_without_a_setting_the_retention_is_not_touched():
    calls = Recorded()
    LogsTarget(calls, 0).send(TRAIL, copies(1), 5)
    assert [operation for _, operation, _ in calls.asked] == ["create_log_stream", "put_log_events"]


def test_an_organizations_streams_begin_with_its_id():
    calls = Recorded()
    trail = msgspec.structs.replace(TRAIL, organization_id="o-abc123")
    LogsTarget(calls, 0).send(trail, copies(1), 5)
    assert calls.asked[0][2]["logStreamName"] == f"o-abc123_{ACCOUNTS[0]}_CloudTrail_us-east-1"


def test_who_may_not_set_a_retention_gets_copies_all_the_same(caplog):
    denied = ClientError("AccessDeniedException", "no PutRetentionPolicy")
    calls = Recorded(denied)
    LogsTarget(calls, 7).send(TRAIL, copies(1), 5)
    assert [operation for _, operation, _ in calls.asked][-1] == "put_log_events"
    assert "retention" in caplog.text
    with pytest.raises(ClientError, match="PutRetentionPolicy"):
        LogsTarget(Recorded(denied), 7).ensure_home(TRAIL)


def test_rejected_events_are_not_taken_for_delivered():
    calls = Recorded({}, {"rejectedLogEventsInfo": {"tooOldLogEventEndIndex": 1}})
    with pytest.raises(Unavailable, match="clocks"):
        LogsTarget(calls, 0).send(TRAIL, copies(1), 5)


def test_without_an_upstream_nothing_is_asked():
    nowhere = Clients(TargetSetting(), Endpoints(), TargetWorld((), ()).clock)
    with pytest.raises(ClientError, match="NotConfigured"):
        nowhere.call(Service("sns", "us-east-1"), "publish", TopicArn="a", Message="m")
    assert clients("http://127.0.0.1:9").has("sns")


def test_a_signature_is_of_time_and_body():
    assert signature("s" * 16, 1, b"{}") != signature("s" * 16, 2, b"{}")
    assert signature("s" * 16, 1, b"{}") != signature("t" * 16, 1, b"{}")
    assert len(signature("s" * 16, 1, b"{}")) == 64


def test_a_receiver_that_drips_is_unavailable(monkeypatch):
    """Each byte comes in time, and the answer never ends."""
    monkeypatch.setattr(target_webhook, "ANSWER_S_MAX", 0.3)
    gone = threading.Event()

    def drip(server):
        connection, _ = server.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            with contextlib.suppress(OSError):
                while not gone.wait(0.02):
                    connection.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=drip, args=(server,))
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        clock = TargetWorld((), ()).clock
        hook = Webhook("x", WebhookSetting(url=url, secret="s" * SECRET_CHARS_MIN), clock)
        try:
            with pytest.raises(Unavailable, match="did not answer"):
                hook._post(b"{}", {})
        finally:
            gone.set()
            thread.join()


def test_a_receiver_that_is_not_there_is_unavailable():
    world = TargetWorld((), ())
    hook = Webhook("x", WebhookSetting(url="http://127.0.0.1:9/", secret="s" * 16), world.clock)
    with pytest.raises(Unavailable, match="did not answer: ConnectionRefusedError"):
        hook._post(b"{}", {})
    assert FILES_MAX == 100


@pytest.mark.parametrize(
    "changes",
    [
        {"secret": "s" * (SECRET_CHARS_MIN - 1)},
        {"url": "ftp://example.com/"},
        {"url": "https://user:secret@example.com/"},
        {"url": "https://"},
        {"url": "http://[::1"},
        {"url": "https://example.com:99999/"},
        {"url": "https://example.com:https/"},
        {"url": "https://a..example/"},
        {"url": f"https://{'a' * 64}.example/"},
        {"url": "https://example.com/h\u00f6k"},
        {"url": "https://example.com/?a b"},
        {"url": "https://user:secret@\u2100.example/"},
        {"url": "https://example.com/#part"},
        {"ca": "/no/such/file"},
    ],
)
def test_a_webhook_that_cannot_be_meant(changes):
    good = WebhookSetting(url="https://example.com/hook", secret="s" * SECRET_CHARS_MIN)
    check_webhook("siem", good)
    with pytest.raises(UsageError, match=r"webhooks\.siem") as caught:
        check_webhook("siem", msgspec.structs.replace(good, **changes))
    assert "secret@" not in str(caught.value)
    with pytest.raises(UsageError, match="letters"):
        check_webhook("a/b", good)
    assert "ssss" not in repr(good)


@pytest.mark.parametrize(
    "changes",
    [{"endpoint": "localhost"}, {"ca": "/none"}, {"events_bus": ""}, {"logs_retention_days": 42}],
)
def test_targets_that_cannot_be_meant(changes):
    check_targets(TargetSetting(endpoint="aws"))
    with pytest.raises(UsageError, match=r"targets\."):
        check_targets(TargetSetting(**changes))


def test_what_is_too_large_is_counted_when_nothing_else_is_sent():
    world = TargetWorld((), (LogsTarget(Recorded(), 0),))
    trail = connected_trail(world, log_group_arn=TRAIL.log_group_arn)
    world.write(note="x" * (EVENT_BYTES_MAX - 100))
    world.run()
    entry = world.state.get(target_status_key(trail.id, "logs"))
    assert entry is not None
    assert msgspec.json.decode(entry.value, type=TargetStatus).given_up == 1


def test_a_record_that_is_not_utf_8_is_copied_all_the_same():
    """Nothing of ours makes one; if one is there, it must not end what copies the others."""
    data = record(1, ACCOUNTS[0], "us-east-1", note="?").replace(b"?", b"\xff")
    copied = Copied(data, decode(data, "test"), ACCOUNTS[0])
    clients_of = Recorded({"Entries": [{"EventId": "1"}]})
    EventsTarget(clients_of, TargetSetting(events=True)).send(TRAIL, [copied], 0)
    ((_, _, asked),) = clients_of.asked
    assert "\ufffd" in asked["Entries"][0]["Detail"]
    clients_of = Recorded()
    LogsTarget(clients_of, 0).send(TRAIL, [copied], 0)
    assert "\ufffd" in clients_of.asked[-1][2]["logEvents"][0]["message"]
