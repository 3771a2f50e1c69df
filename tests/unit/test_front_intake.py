# SPDX-License-Identifier: Apache-2.0
"""The intake's door: who may send what, and when a sender may forget."""

import asyncio
import json
import os
from collections.abc import Sequence
from contextlib import closing
from typing import Any, cast

import pytest
from support.sent_records import record
from support.signed_requests import KEY_ID, SECRET, Signer

from opentrail.access.key_table import KeyTable
from opentrail.access.keys import AccessKey, IdentityType
from opentrail.capture.arrival import Arrival, RequestBody
from opentrail.capture.headers import Headers
from opentrail.capture.intake import PLACED_AT_ONCE
from opentrail.capture.intake_senders import Senders
from opentrail.capture.reply import Client
from opentrail.capture.stream import Stream
from opentrail.clock import Clock, SystemClock, SystemIds, iso_seconds
from opentrail.errors import Unavailable
from opentrail.eventlog.base import Draft, Origin
from opentrail.eventlog.options import LogOptions
from opentrail.eventlog.reader import SegmentReader
from opentrail.eventlog.segments import Segments
from opentrail.front.intake import IntakeAnswer, IntakeDoor, allowed
from opentrail.front.metrics import Metrics
from opentrail.front.senders import SentRecords

URL = "http://127.0.0.1:4540/_opentrail/intake"
NOW = iso_seconds(SystemClock().now_ms())
OTHER = "210987654321"
ONLY_OTHER = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Action": "opentrail:PutRecords*",
            "Resource": f"arn:aws:opentrail::{OTHER}:records",
        },
    }
)


def sent(number: int = 1, **fields: object) -> dict[str, object]:
    return record(eventID=f"id-{number}", eventTime=NOW, **fields)


def body_of(data: bytes) -> RequestBody:
    """Return the body of a request, all of which is here."""
    stream = Stream(asyncio.ReadTransport(), len(data))
    stream.feed(data)
    stream.end()
    body = RequestBody(stream, len(data))
    body.begin()
    return body


class Told:
    """A client that keeps what it is told."""

    def __init__(self) -> None:
        self.answers: list[IntakeAnswer] = []

    def answer(self, status: int, headers: Headers, body: bytes, *, last: bool = False) -> None:
        assert not last
        self.answers.append(
            IntakeAnswer(status, body, dict(headers).get(b"x-amzn-errortype", b"").decode())
        )


@pytest.fixture(autouse=True, params=["list", "line"])
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """One record alone is answered in another way than several: all must hold of both."""
    monkeypatch.setattr(Door, "form", request.param)


class Door:
    """A door over a real log, whose commits can be held back or fail."""

    form = "list"
    """How a record that is alone is sent."""

    def __init__(
        self, tmp_path, *policies: str, verify: bool = True, clock: Clock | None = None
    ) -> None:
        self.log = Segments.open(
            tmp_path, SystemClock(), SystemIds(), LogOptions(disk_reserve_bytes=0)
        )
        key = AccessKey(
            KEY_ID, SECRET, IdentityType.IAM_USER, "123456789012", "arn:x", policies=policies
        )
        self.metrics = Metrics()
        self.failing = ""
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.why = ""
        senders = Senders("123456789012", "us-east-1", SystemIds())
        self.sent = SentRecords(self.append, senders, SystemClock())
        self.room = IntakeDoor(
            KeyTable([key]),
            self.sent,
            self.metrics,
            clock or SystemClock(),
            refusing=lambda: self.why,
            verify=verify,
        )
        self.reader = SegmentReader(tmp_path / "log")
        for _ in self.room.before.load(self.reader):
            pass

    def append(self, drafts: Sequence[Draft]) -> asyncio.Future[list[int]]:
        return asyncio.ensure_future(self.appended(drafts))

    async def appended(self, drafts: Sequence[Draft]) -> list[int]:
        await self.go_on.wait()
        if self.failing:
            raise Unavailable(self.failing)
        return self.log.append(drafts)

    async def send(self, *records: object, body: bytes = b"", **signer: Any) -> IntakeAnswer:
        alone = self.form == "line" and len(records) == 1
        body = body or json.dumps(records[0] if alone else records).encode()
        signed = Signer(**{"service": "opentrail", **signer}).sign(url=URL, body=body)
        client = cast(Client, told := Told())
        arrival = Arrival(signed.head, [], "192.0.2.7")
        begun = self.room.begin(arrival, body_of(body), client)
        if begun is None:
            return await self.room.answer(signed.head, "", body, "192.0.2.7")
        await asyncio.wait([begun])
        (answer,) = told.answers
        return answer

    def entries(self, origin: Origin) -> list[dict[str, Any]]:
        return [json.loads(each.data) for each in self.reader.entries(0) if each.origin is origin]

    def logged(self) -> list[str]:
        return [each["eventID"] for each in self.entries(Origin.INTAKE)]

    def told(self) -> list[dict[str, Any]]:
        """What the log says of senders."""
        return self.entries(Origin.INTERNAL)

    def close(self) -> None:
        self.reader.close()
        self.log.close()


def verdicts(answer: IntakeAnswer) -> list[str]:
    assert answer.status == 200, answer
    return [each["verdict"] for each in json.loads(answer.body)["records"]]


def test_records_are_in_the_log_when_the_answer_comes(tmp_path):
    async def main():
        with closing(Door(tmp_path, "OpenTrailSendAccess")) as door:
            assert verdicts(await door.send(sent(1), sent(2))) == ["accepted"] * 2
            assert verdicts(await door.send(sent(2), sent(3))) == ["duplicate", "accepted"]
            assert door.logged() == ["id-1", "id-2", "id-3"]
            (told,) = door.told()
            assert told["responseElements"]["accepted"] == 2
            door.room.measure()
            text = door.metrics.text().decode()
            assert 'opentrail_intake_records_total{verdict="accepted"} 3.0' in text
            assert 'opentrail_intake_records_total{verdict="duplicate"} 1.0' in text
            assert "opentrail_intake_window_records 3.0" in text

    asyncio.run(main())


def test_who_sent_is_in_the_same_append_and_the_sums_follow(tmp_path):
    async def main():
        with closing(Door(tmp_path, "OpenTrailSendAccess")) as door:
            await door.send(sent(1))
            assert [entry.origin for entry in door.reader.entries(0)] == [
                Origin.INTAKE,
                Origin.INTERNAL,
            ]
            await door.send(sent(1), sent(2))
            await door.sent.tell()
            (told,) = door.told()
            assert told["userIdentity"]["accessKeyId"] == KEY_ID
            assert told["sourceIPAddress"] == "192.0.2.7"
            door.failing = "no disk"
            with pytest.raises(Unavailable):
                await door.sent.tell(all_of_them=True)
            door.failing = ""
            await door.sent.tell()
            await door.sent.tell(all_of_them=True)
            sums = [each["responseElements"] for each in door.told()]
            assert sums == [
                {"requests": 1, "accepted": 1, "duplicates": 0, "rejected": 0},
                {"requests": 1, "accepted": 1, "duplicates": 1, "rejected": 0},
            ]

    asyncio.run(main())


def test_they_are_known_after_a_restart(tmp_path):
    async def main():
        with closing(Door(tmp_path, "OpenTrailSendAccess")) as door:
            await door.send(*(sent(number) for number in range(1200)))
        with closing(Door(tmp_path, "OpenTrailSendAccess")) as door:
            again = verdicts(await door.send(*(sent(number) for number in range(1199, 1201))))
            assert again == ["duplicate", "accepted"]

    asyncio.run(main())


@pytest.mark.parametrize(
    ("policies", "own", "other"),
    [
        (("CloudTrailFullAccess",), True, True),
        (("OpenTrailSendAccess",), True, False),
        (("CloudTrailReadOnlyAccess",), False, False),
        ((), False, False),
        ((ONLY_OTHER,), False, True),
    ],
)
def test_a_sender_writes_only_what_its_policies_allow(tmp_path, policies, own, other):
    assert allowed(policies, "123456789012", "123456789012") is own
    assert allowed(policies, "123456789012", OTHER) is other

    async def main():
        with closing(Door(tmp_path, *policies)) as door:
            answer = await door.send(sent(1), sent(2, recipientAccountId=OTHER))
            if not (own or other):
                assert (answer.status, answer.code) == (403, "AccessDeniedException")
            else:
                expected = ["accepted" if may else "rejected" for may in (own, other)]
                assert verdicts(answer) == expected
            assert len(door.logged()) == own + other

    asyncio.run(main())


@pytest.mark.parametrize(
    ("signer", "code"),
    [
        ({"secret": "wrong"}, "InvalidSignatureException"),
        ({"service": "cloudtrail"}, "InvalidSignatureException"),
        ({"key_id": "AKIAQBBBBBBBBBBBBBBB"}, "UnrecognizedClientException"),
    ],
)
def test_who_is_not_known_sends_nothing(tmp_path, signer, code):
    async def main():
        with closing(Door(tmp_path, "CloudTrailFullAccess")) as door:
            answer = await door.send(sent(1), **signer)
            assert (answer.status, answer.code) == (403, code)
            signed = Signer("opentrail").sign(url=URL, body=b"{}")
            other_body = await door.room.answer(signed.head, "", json.dumps(sent(1)).encode(), "")
            assert other_body.code == "InvalidSignatureException"
            unsigned = Signer("opentrail").sign(
                url=URL, body=b"{}", headers={"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}
            )
            answer = await door.room.answer(unsigned.head, "", b"{}", "")
            assert answer.code == "InvalidSignatureException"
            answer = await door.room.answer(signed.head, "authorization", b"{}", "")
            assert answer.code == "IncompleteSignatureException"
            assert door.logged() == []
            assert b'opentrail_intake_refused_total{code="Inva' in door.metrics.text()

    asyncio.run(main())


def test_without_authentication_everybody_may_send(tmp_path):
    async def main():
        with closing(Door(tmp_path, verify=False)) as door:
            answer = await door.send(sent(1, recipientAccountId=OTHER), key_id="nobody")
            assert verdicts(answer) == ["accepted"]

    asyncio.run(main())


def test_a_failed_append_is_told_and_may_be_sent_again(tmp_path):
    async def main():
        with closing(Door(tmp_path, "OpenTrailSendAccess")) as door:
            door.failing = "no disk"
            answer = await door.send(sent(1))
            assert (answer.status, answer.code) == (503, "ServiceUnavailable")
            door.failing = ""
            door.why = "it is being reset"
            assert (await door.send(sent(1))).status == 503
            door.why = ""
            assert door.told() == []
            assert verdicts(await door.send(sent(1))) == ["accepted"]
            assert b'{verdict="failed"} 1.0' in door.metrics.text()
            (told,) = door.told()
            assert told["responseElements"]["accepted"] == 1

    asyncio.run(main())


def test_a_duplicate_of_what_is_under_way_waits_for_it(tmp_path):
    async def main():
        with closing(Door(tmp_path, "OpenTrailSendAccess")) as door:
            last: list[IntakeAnswer] = []
            for failing, status in (("no disk", 503), ("", 200)):
                door.failing = failing
                door.go_on.clear()
                first = asyncio.create_task(door.send(sent(1)))
                await asyncio.sleep(0)
                second = asyncio.create_task(door.send(sent(1)))
                await asyncio.sleep(0.01)
                assert not first.done()
                assert not second.done()
                door.go_on.set()
                last = [await first, await second]
                assert {each.status for each in last} == {status}
            assert [verdicts(each) for each in last] == [["accepted"], ["duplicate"]]
            assert door.logged() == ["id-1"]

    asyncio.run(main())


def test_a_long_request_gives_way_and_its_duplicates_wait_for_all_of_it(tmp_path):
    async def main():
        with closing(Door(tmp_path, "OpenTrailSendAccess")) as door:
            many = [sent(number, unknown=1) for number in range(3 * PLACED_AT_ONCE)]
            long = asyncio.create_task(door.send(*many))
            await asyncio.sleep(0)
            again = asyncio.create_task(door.send(sent(1, unknown=1)))
            assert verdicts(await door.send(sent(9999))) == ["accepted"]
            assert not long.done()
            assert verdicts(await again) == ["duplicate"]
            assert long.done()
            assert verdicts(await long) == ["accepted"] * len(many)

    asyncio.run(main())


def test_a_log_that_takes_the_place_of_another_is_read_instead(tmp_path):
    async def main():
        with closing(Door(tmp_path / "old", "OpenTrailSendAccess")) as door:
            await door.send(*(sent(number) for number in range(1200)))
            old = door.room.before.load(SegmentReader(tmp_path / "old" / "log"))
            next(old)
            mine = door.log
            with closing(Door(tmp_path / "new", "OpenTrailSendAccess")) as other:
                assert list(door.room.before.load(SegmentReader(tmp_path / "new" / "log"))) == []
                assert list(old) == []
                door.log = other.log
                assert verdicts(await door.send(sent(1))) == ["accepted"]
                door.log = mine

    asyncio.run(main())


def test_no_record_is_taken_before_all_that_came_in_is_known(tmp_path):
    async def main():
        with closing(Door(tmp_path, "OpenTrailSendAccess")) as door:
            await door.send(*(sent(number) for number in range(600)))
            steps = door.room.before.load(SegmentReader(tmp_path / "log"))
            next(steps)
            assert (await door.send(sent(1))).status == 503
            assert list(steps) == [None, None]
            assert verdicts(await door.send(sent(1))) == ["duplicate"]

    asyncio.run(main())


class SlowClock(SystemClock):
    """Each look at it takes 50 ms."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic(self) -> float:
        self.now_s += 0.05
        return self.now_s


@pytest.mark.parametrize(("under_way", "rests"), [(0, False), (1, True)])
def test_calls_go_before_what_is_read_at_the_start(tmp_path, under_way, rests):
    async def main():
        with closing(Door(tmp_path, "OpenTrailSendAccess", clock=SlowClock())) as door:
            await door.send(*(sent(number) for number in range(600)))
            door.room.open(tmp_path, lambda: under_way)
            ready = []
            for _ in range(20):
                ready.append(door.room.ready)
                await asyncio.sleep(0)
            assert ready[0] is False
            assert ready[-1] is not rests
            for _ in range(500):
                await asyncio.sleep(0 if door.room.ready else 0.01)
            assert verdicts(await door.send(sent(1))) == ["duplicate"]

    asyncio.run(main())


def test_what_did_not_come_in_is_passed_over_in_small_pieces(tmp_path):
    with closing(Door(tmp_path)) as door:
        for _ in range(20):
            door.log.append([Draft(Origin.CAPTURE, os.urandom(4000).hex().encode())] * 4)
        assert 3 <= len(list(door.room.before.load(SegmentReader(tmp_path / "log")))) <= 8
        assert door.room.ready
