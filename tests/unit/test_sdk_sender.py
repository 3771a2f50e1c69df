# SPDX-License-Identifier: Apache-2.0
"""Records wait for a server that is away, are sent once, and are never lost without a word."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from support.sdk_post import Listed, recorder
from support.server import wait_until

from opentrail.capture.intake_body import BODY_BYTES_MAX
from opentrail.event.caps import RECORD_BYTES_MAX
from opentrail.sdk import sender as sender_module
from opentrail.sdk.post import HttpPost, Target
from opentrail.sdk.posting import Delivered
from opentrail.sdk.sender import (
    BATCH_BYTES_MAX,
    BATCH_RECORDS_MAX,
    QUEUE_BYTES_MAX,
    Sender,
    Told,
)
from opentrail.sdk.spool import Memory, Spool


def ids(post: Listed) -> list[str]:
    return [record["eventID"] for record in post.records]


def names(post: Listed) -> Counter[str]:
    return Counter(record["eventName"] for record in post.records)


def spooled(directory: Path) -> int:
    return sum(len(file.read_bytes().splitlines()) for file in directory.rglob("*.ndjson"))


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(sender_module, "RETRY_S_MIN", 0.01)
    monkeypatch.setattr(sender_module, "RETRY_S_MAX", 0.05)


def test_a_record_has_what_every_record_has():
    post = Listed()
    with recorder(post, account="210987654321", region="eu-west-1") as trail:
        event_id = trail.record(eventName="Hello", userIdentity={"type": "Root"})
        assert trail.flush()
    (record,) = post.records
    assert record["eventID"] == event_id
    assert list(record)[:5] == [
        "eventVersion",
        "userIdentity",
        "eventTime",
        "eventSource",
        "eventName",
    ]
    assert record["recipientAccountId"] == "210987654321"
    assert record["awsRegion"] == "eu-west-1"
    assert record["requestParameters"] is None
    assert post.closed


def test_all_arrive_in_order_and_are_counted():
    post = Listed()
    trail = recorder(post)
    sent = [trail.record(eventName="Hello") for _ in range(2500)]
    assert trail.flush()
    assert ids(post) == sent
    assert trail.counts == Counter(put=2500, sent=2500, adopted=0, duplicates=0, rejected=0)
    trail.close()
    trail.record(eventName="TooLate")
    assert trail.counts["lost"] == 1


@pytest.mark.parametrize("spooled", [True, False])
def test_they_wait_for_a_server_that_is_away(tmp_path, spooled):
    post = Listed()
    post.away = True
    trail = recorder(post, **({"spool": tmp_path / "spool"} if spooled else {}))
    sent = [trail.record(eventName="Hello") for _ in range(50)]
    assert not trail.flush(0.1)
    post.away = False
    assert trail.flush()
    assert ids(post) == sent
    trail.close()
    assert not list(tmp_path.rglob("*.ndjson"))


def test_what_may_have_arrived_is_sent_again_and_is_there_once():
    post = Listed()
    post.deaf = True
    trail = recorder(post)
    sent = [trail.record(eventName="Hello") for _ in range(20)]
    wait_until(lambda: len(post.records) == 20)
    post.deaf = False
    assert trail.flush()
    assert ids(post) == sent
    assert trail.counts["sent"] + trail.counts["duplicates"] == 20
    trail.close()


def test_what_is_wrong_holds_nobody_up(caplog):
    post = Listed()
    post.wrong = True
    trail = recorder(post)
    trail.record(eventName="Hello")
    assert trail.flush()
    assert trail.counts["rejected"] == 1
    assert "it is wrong" in caplog.text
    trail.close()


def test_what_breaks_in_the_thread_does_not_end_it():
    class Odd(Listed):
        def __call__(self, batch):
            if self.away:
                raise ZeroDivisionError
            return super().__call__(batch)

    post = Odd()
    post.away = True
    trail = recorder(post)
    sent = trail.record(eventName="Hello")
    assert not trail.flush(0.1)
    post.away = False
    assert trail.flush()
    assert ids(post) == [sent]
    trail.close()


def test_a_full_spool_is_counted_and_the_log_says_so(tmp_path):
    post = Listed()
    post.away = True
    trail = recorder(post, spool=tmp_path / "spool", spool_bytes_max=4000)
    for _ in range(40):
        trail.record(eventName="Hello")
        time.sleep(0.002)
    wait_until(lambda: trail.counts["lost"] > 0)
    post.away = False
    wait_until(lambda: names(post)["RecordingGap"] >= 1)
    assert trail.flush()
    gaps = [r["serviceEventDetails"] for r in post.records if r["eventName"] == "RecordingGap"]
    assert sum(gap["calls"] for gap in gaps) == trail.counts["lost"]
    assert names(post)["Hello"] == 40 - trail.counts["lost"]
    assert gaps[0]["reason"] == "records-lost"
    assert gaps[0]["source"] == "orders.example.com"
    trail.close()


def test_a_full_queue_never_blocks_the_caller():
    entered = threading.Event()

    class Slow(Listed):
        def __call__(self, batch):
            entered.set()
            return super().__call__(batch)

    post = Slow()
    post.block.clear()
    # Whether it is the queue that is full, or what the thread has taken out of it by then.
    trail = recorder(post, spool_bytes_max=1_000_000)
    trail.record(eventName="Hello")
    assert entered.wait(10.0)
    big = {"requestParameters": {"note": "x" * 100_000}}
    began = time.monotonic()
    for _ in range(2 * QUEUE_BYTES_MAX // 100_000):
        trail.record(eventName="Hello", **big)
    assert time.monotonic() - began < 5.0
    assert trail.counts["lost"] > 0
    post.block.set()
    assert trail.flush(20.0)
    done = trail.counts
    assert done["put"] == done["sent"] + done["lost"]
    trail.close()


def test_a_record_that_cannot_be_made_is_lost_and_said_so(caplog):
    def broken() -> bytes:
        raise ZeroDivisionError

    post = Listed()
    trail = recorder(post)
    trail.send_made(broken, 10)
    sent = trail.record(eventName="Hello")
    assert trail.flush()
    wait_until(lambda: names(post)["RecordingGap"] == 1)
    assert sent in ids(post)
    assert trail.failures == {"ZeroDivisionError": 1}
    assert (trail.counts["lost"], trail.counts["put"]) == (1, 3)
    (gap,) = [r["serviceEventDetails"] for r in post.records if r["eventName"] == "RecordingGap"]
    assert gap["calls"] == 1
    assert "was not recorded" in caplog.text
    assert "full" not in caplog.text
    trail.close()


def test_the_thread_keeps_up_with_a_program_that_never_waits():
    """It gets its turn only when the interpreter takes the other's away."""
    post = Listed()
    trail = recorder(post)
    record = json.dumps({"eventID": "x" * 1000}).encode()

    def make() -> bytes:
        return record

    until = time.monotonic() + 1.0
    count = 0
    while time.monotonic() < until:
        for _ in range(10):
            sum(range(2000))  # what a request takes, at the least
            trail.send_made(make, 2048)
            count += 1
    assert trail.counts["lost"] == 0
    assert trail.flush(20.0)
    assert trail.counts["put"] == count
    trail.close()


def test_a_batch_is_never_more_than_the_intake_takes():
    small, large = b"x" * 1000, b"x" * RECORD_BYTES_MAX
    sizes: list[tuple[int, int]] = []

    class Measured(Listed):
        def __call__(self, batch):
            sizes.append((len(batch), sum(map(len, batch)) + len(batch)))
            return Delivered(len(batch), 0, ())

    store = Memory(100 * RECORD_BYTES_MAX)
    told = Told(lambda lost: b"%d" % lost.count, print)
    sender = Sender(Measured(), store, told, 0.05)
    for _ in range(BATCH_BYTES_MAX // len(large)):
        sender.put(large, len(large))
    for _ in range(40):
        sender.put(lambda: large, 0)
    for _ in range(2 * BATCH_RECORDS_MAX):
        sender.put(small, len(small))
    assert sender.flush(20.0)
    sender.close()
    assert max(size for _, size in sizes) <= BODY_BYTES_MAX
    assert max(count for count, _ in sizes) <= BATCH_RECORDS_MAX
    assert sum(count for count, _ in sizes) == sender.counts["sent"] == 2056


def test_what_a_killed_process_left_is_sent_by_the_next(tmp_path):
    program = (
        "import os, signal, sys\n"
        "from opentrail.sdk import Recorder\n"
        f"trail = Recorder('a.b', endpoint='http://127.0.0.1:1', spool={str(tmp_path)!r},"
        " linger_s=0.001)\n"
        "print(*[trail.record(eventName='Hello') for _ in range(30)], flush=True)\n"
        "sys.stdin.read(1)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        sent = process.stdout.readline().decode().split()
        wait_until(lambda: spooled(tmp_path) == 30)
        alive = recorder(Listed(), spool=tmp_path)
        alive.record(eventName="Mine")
        assert alive.flush()
        assert alive.counts["adopted"] == 0
        alive.close()
        process.stdin.write(b"x")
        process.stdin.flush()
        assert process.wait(20) == -signal.SIGKILL
    post = Listed()
    trail = recorder(post, spool=tmp_path)
    mine = trail.record(eventName="Hello")
    assert trail.flush()
    assert sorted(ids(post)) == sorted([*sent, mine])
    assert trail.counts["adopted"] == 30
    trail.close()
    assert not [file for file in tmp_path.rglob("*") if file.is_file()]


def test_a_forked_child_sends_its_own_and_only_those(tmp_path):
    program = (
        "import os, sys\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "from support.sdk_post import Listed, recorder\n"
        "post = Listed()\n"
        "post.away = True\n"
        "trail = recorder(post, spool=sys.argv[2])\n"
        "first = trail.record(eventName='Parent')\n"
        "assert not trail.flush(0.05)\n"
        "child = os.fork()\n"
        "post.away = False\n"
        "if child == 0:\n"
        "    mine = trail.record(eventName='Child')\n"
        "    assert trail.flush(), trail.counts\n"
        "    assert [r['eventID'] for r in post.records] == [mine], post.records\n"
        "    trail.close()\n"
        "    os._exit(0)\n"
        "assert trail.flush(), trail.counts\n"
        "assert [r['eventID'] for r in post.records] == [first]\n"
        "assert os.waitpid(child, 0)[1] == 0\n"
    )
    tests = str(Path(__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, tests, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert (done.returncode, done.stderr) == (0, "records wait: it is away\n")


def test_stores_have_a_bound(tmp_path):
    for store, room in ((Memory(10), 10), (Spool(tmp_path, 11), 10)):
        assert not store.add([b"x" * (room + 1)])
        assert store.add([b"x" * room])
        assert not store.add([b"x"])
        store.drop_oldest()
        assert store.oldest() is None
        assert store.add([b"x"])


def test_a_spool_that_cannot_be_written_stops_nobody(tmp_path, caplog):
    (tmp_path / "spool").write_text("in the way")
    post = Listed()
    trail = recorder(post, spool=tmp_path / "spool")
    sent = [trail.record(eventName="Hello") for _ in range(3)]
    assert trail.flush()
    assert ids(post) == sent
    assert "cannot be written" in caplog.text
    trail.close()


def test_a_spool_that_somebody_cleaned_is_no_trouble(tmp_path):
    spool = Spool(tmp_path, 1000)
    spool.add([b"1"])
    spool.add([b"2", b"3"])
    min(tmp_path.rglob("*.ndjson")).unlink()
    assert spool.oldest() == [b"2", b"3"]
    (tmp_path / "stranger").mkdir()
    assert spool.adopt() == 0
    spool.close()


def test_what_somebody_took_out_of_the_spool_is_said_to_be_lost(tmp_path, caplog):
    post = Listed()
    post.away = True
    trail = recorder(post, spool=tmp_path)
    for _ in range(3):
        trail.record(eventName="Hello")
    wait_until(lambda: spooled(tmp_path) == 3)
    for file in tmp_path.rglob("*.ndjson"):
        file.unlink()
    post.away = False
    assert trail.flush(), trail.counts
    assert (trail.counts["lost"], trail.counts["sent"]) == (3, 1)
    (gap,) = post.records
    assert (gap["eventName"], gap["serviceEventDetails"]["calls"]) == ("RecordingGap", 3)
    assert "records are being lost: somebody emptied the spool" in caplog.text
    trail.close()


def test_nobody_waits_while_the_thread_is_started(monkeypatch):
    """Under gevent its start lets others run, in this very thread: a lock that is held would never be free."""
    post = Listed()
    trail = recorder(post)
    start = threading.Thread.start
    other = threading.Thread(target=lambda: trail.record(eventName="Other"), daemon=True)
    waits: list[bool] = []

    def letting_others_run(thread):
        if not waits:
            start(other)
            other.join(5)
            waits.append(other.is_alive())
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", letting_others_run)
    trail.record(eventName="First")
    assert waits == [False]
    assert trail.flush()
    assert names(post) == {"First": 1, "Other": 1}
    trail.close()


def test_an_endpoint_that_is_none_is_refused():
    for endpoint in ("127.0.0.1:4540", "ftp://x", "http://", "http://x/audit", "http://x?a=1"):
        with pytest.raises(ValueError, match="endpoint"):
            HttpPost(Target(endpoint, "us-east-1", lambda: None))
