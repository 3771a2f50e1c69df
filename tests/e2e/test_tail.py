# SPDX-License-Identifier: Apache-2.0
"""`opentrail tail -f` and `opentrail expect` beside a server that is killed, restarted and reset."""

import json
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support import upstreams
from support.server import PROGRAM, OpenTrail, clean_environment, run, wait_until

SHOWN_S_MAX = 1.0


class Lines:
    """What a command that goes on writes."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.seen: list[str] = []
        self._process = process
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.seen.append(line.rstrip("\n"))

    def names(self) -> list[str]:
        return [json.loads(line)["requestParameters"]["modelName"] for line in self.seen]

    def end(self) -> None:
        self._process.terminate()
        self._process.wait()
        self._thread.join()


@contextmanager
def following(home: Path, *arguments: str) -> Iterator[Lines]:
    process = subprocess.Popen(
        [PROGRAM, "tail", "-f", "--data", "data", "--json", *arguments],
        env=clean_environment(home),
        cwd=home,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    lines = Lines(process)
    try:
        yield lines
    finally:
        lines.end()
        if process.stdout is not None:
            process.stdout.close()


def test_it_follows_through_a_kill_a_restart_and_a_reset(tmp_path):
    with (
        upstreams.upstream() as upstream,
        OpenTrail(tmp_path / "data", "--allow-reset", upstream=upstream.url) as server,
    ):
        sagemaker = server.client("sagemaker")
        names: list[str] = []

        def call(name: str) -> None:
            sagemaker.delete_model(ModelName=name)
            names.append(name)

        call("before")
        with following(tmp_path, "--since", "1h", "EventName=DeleteModel") as lines:
            wait_until(lambda: lines.names() == names)
            began = time.monotonic()
            call("one")
            wait_until(lambda: lines.names() == names)
            assert time.monotonic() - began < SHOWN_S_MAX
            sagemaker.list_models()
            for kill in (server.kill, server.stop):
                kill()
                server.start()
                for number in range(5):
                    call(f"{kill.__name__}-{number}")
            wait_until(lambda: lines.names() == names)
            request = urllib.request.Request(
                f"{server.endpoint}/_opentrail/reset",
                method="POST",
                headers={"x-opentrail-reset": "yes"},
            )
            with urllib.request.urlopen(request) as answer:
                assert answer.status == 200
            call("anew")
            wait_until(lambda: lines.names() == names)
        shown = run("tail", "--data", "data", "-n", "1", home=tmp_path).stdout
        assert shown.split("\t")[1] == "DeleteModel"


def test_what_is_expected_comes_or_does_not(tmp_path):
    with (
        upstreams.upstream() as upstream,
        OpenTrail(tmp_path / "data", upstream=upstream.url) as server,
    ):
        sagemaker = server.client("sagemaker")
        sagemaker.delete_model(ModelName="there")
        arguments = ("expect", "--data", "data", "EventName=DeleteModel")
        done = run(*arguments, "--json", home=tmp_path)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["requestParameters"] == {"modelName": "there"}

        later = threading.Timer(0.7, lambda: sagemaker.delete_model(ModelName="later"))
        later.start()
        done = run(*arguments, "--times", "2", "--within", "10s", home=tmp_path)
        later.join()
        assert (done.returncode, len(done.stdout.splitlines())) == (0, 2)

        began = time.monotonic()
        done = run(*arguments, "requestParameters.modelName=x", "--within", "0.3s", home=tmp_path)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == "0 of 1 events came within 0.3 s\n"
        assert time.monotonic() - began < 5
        run_fixture(tmp_path)


def run_fixture(home: Path) -> None:
    """The pytest fixture, in a pytest of its own."""
    (home / "test_it.py").write_text(
        "import pytest\n"
        "def test_there(expect_event):\n"
        '    record = expect_event("requestParameters.modelName=later")\n'
        '    assert record["eventName"] == "DeleteModel"\n'
        "def test_absent(expect_event):\n"
        '    with pytest.raises(AssertionError, match="no event came"):\n'
        '        expect_event("EventName=Nope", within_s=0.2)\n'
    )
    (home / "conftest.py").write_text('pytest_plugins = ["opentrail.testing"]\n')
    for arguments, said in (
        (["--opentrail-data=data"], "2 passed"),
        ([], "no log in opentrail-data"),
    ):
        done = subprocess.run(
            [str(Path(PROGRAM).parent / "pytest"), "-q", *arguments],
            cwd=home,
            env=clean_environment(home),
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode == 0) is bool(arguments)
        assert said in done.stdout


@pytest.mark.parametrize("command", ["tail", "expect"])
def test_no_log_is_one_line(tmp_path, command):
    done = run(command, home=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("opentrail: no log in opentrail-data")
