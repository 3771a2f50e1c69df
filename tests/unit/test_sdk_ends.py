# SPDX-License-Identifier: Apache-2.0
"""A program's last records are sent however it ends, if it ends by itself."""

import asyncio
import json
import subprocess
import sys
import threading
import time
from types import ModuleType

import pytest
from support.sdk_post import Listed, recorder
from support.server import wait_until

from opentrail.sdk.asgi import AuditMiddleware
from opentrail.sdk.sender import CLOSE_S_MAX


def test_the_last_records_are_sent_when_a_program_ends(tmp_path):
    """Here into the spool, for no server is there; within the time that an end may take."""
    program = (
        "from opentrail.sdk import Recorder\n"
        f"trail = Recorder('a.b', endpoint='http://127.0.0.1:1', spool={str(tmp_path)!r})\n"
        "trail.record(eventName='Last')\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=20)
    (file,) = tmp_path.rglob("*.ndjson")
    assert json.loads(file.read_bytes())["eventName"] == "Last"
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)


@pytest.mark.parametrize("how", ["fork", "forkserver", "spawn"])
def test_the_last_records_of_a_worker_are_sent_when_it_ends(tmp_path, how):
    program = tmp_path / "program.py"
    program.write_text(
        "import multiprocessing, sys\n"
        "from opentrail.sdk import Recorder\n"
        "trail = Recorder('a.b', endpoint='http://127.0.0.1:1', spool=sys.argv[1])\n"
        "def work():\n"
        "    trail.record(eventName='Worked')\n"
        "if __name__ == '__main__':\n"
        "    worker = multiprocessing.get_context(sys.argv[2]).Process(target=work)\n"
        "    worker.start()\n"
        "    worker.join()\n",
        encoding="utf-8",
    )
    spool = tmp_path / "spool"
    subprocess.run([sys.executable, program, spool, how], check=True, timeout=30)
    (file,) = spool.rglob("*.ndjson")
    assert json.loads(file.read_bytes())["eventName"] == "Worked"


SILENT = (
    "import socket, sys, time\n"
    "from opentrail.sdk import Recorder\n"
    "server = socket.create_server(('127.0.0.1', 0))\n"
    "where = f'http://127.0.0.1:{server.getsockname()[1]}'\n"
    "trail = Recorder('a.b', endpoint=where, spool=sys.argv[1])\n"
    "trail.record(eventName='First')\n"
    "server.accept()\n"  # it takes the request, and never answers
    "for count in range(20):\n"
    "    trail.record(eventName='Later')\n"
)


def spooled(directory) -> int:
    return sum(len(file.read_bytes().splitlines()) for file in directory.rglob("*.ndjson"))


def test_a_server_that_is_silent_keeps_no_record_in_memory(tmp_path):
    program = SILENT + "time.sleep(60)\n"
    with subprocess.Popen([sys.executable, "-c", program, tmp_path]) as process:
        wait_until(lambda: spooled(tmp_path) == 21)
        process.kill()


@pytest.mark.parametrize("kept", [True, False])
def test_what_goes_with_a_program_is_said(tmp_path, kept):
    program = SILENT + "trail.close(0.5)\n"
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path if kept else ""],
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    )
    assert spooled(tmp_path) == (21 if kept else 0)
    said = "21 records are lost with the process: the server has not taken them"
    assert (said in done.stderr) is not kept


def test_what_cannot_be_sent_by_the_end_is_said_once(caplog):
    post = Listed()
    post.away = True
    trail = recorder(post)
    trail.record(eventName="Hello")
    trail.close()
    trail.close()
    assert caplog.text.count("1 records are lost with the process") == 1


def test_a_record_of_the_very_end_is_sent_though_no_thread_starts_any_more(monkeypatch):
    def refuse(_thread):
        raise RuntimeError("can't create new thread at interpreter shutdown")

    post = Listed()
    trail = recorder(post)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        trail.record(eventName="Last")
        trail.close()
    assert [record["eventName"] for record in post.records] == ["Last"]
    trail.close()
    assert len(post.records) == 1


def test_the_last_records_of_celerys_workers_are_sent_when_they_end(monkeypatch):
    """They are forked and end by ``os._exit``, after a signal of Celery's own."""
    connected = []

    class Shutdown:
        @staticmethod
        def connect(receiver, *, weak):
            assert not weak
            connected.append(receiver)

    signals = ModuleType("celery.signals")
    vars(signals)["worker_process_shutdown"] = Shutdown
    monkeypatch.setitem(sys.modules, "celery.signals", signals)
    post = Listed()
    trail = recorder(post, linger_s=60)
    trail.record(eventName="Last")
    [receiver] = connected
    receiver(signal=Shutdown, sender=None, pid=7, exitcode=0)
    assert [record["eventName"] for record in post.records] == ["Last"]


@pytest.mark.parametrize("away", [True, False])
def test_a_service_that_ends_hands_its_last_records_over(away):
    """Its server may end by the signal that it got, so that nothing else runs."""

    async def app(scope, receive, send):
        assert scope["type"] == "lifespan"
        for said in ("startup", "shutdown"):
            assert (await receive())["type"] == f"lifespan.{said}"
            trail.record(eventName=said)
            await send({"type": f"lifespan.{said}.complete"})

    came = ["lifespan.shutdown", "lifespan.startup"]
    told = []

    async def receive():
        return {"type": came.pop()}

    async def send(message):
        told.append((message["type"], len(post.records)))

    post = Listed()
    post.away = away
    trail = recorder(post)
    began_s = time.monotonic()
    asyncio.run(AuditMiddleware(app, trail)({"type": "lifespan"}, receive, send))
    assert time.monotonic() - began_s < CLOSE_S_MAX / 2
    assert [each for each, _ in told] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert told[1][1] == (0 if away else 2)
    post.away = False
    trail.record(eventName="later")
    assert trail.flush()
    assert [record["eventName"] for record in post.records] == ["startup", "shutdown", "later"]
    trail.close()


def test_a_handler_of_a_signal_may_record_while_a_record_is_made():
    class Interrupted(int):
        """Stands for the moment at which the signal comes: while it is added, under the lock."""

        def __radd__(self, other):
            trail.record(eventName="Handler")
            return other + int(self)

    post = Listed()
    trail = recorder(post)
    done = threading.Thread(
        target=trail.send_made, args=(lambda: b'{"eventID":"1"}', Interrupted(15)), daemon=True
    )
    done.start()
    done.join(5)
    assert not done.is_alive()
    assert trail.flush()
    assert {record.get("eventName") for record in post.records} == {"Handler", None}
    trail.close()
