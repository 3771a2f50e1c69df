# SPDX-License-Identifier: Apache-2.0
"""``opentrail sandbox`` as its users run it."""

import json
import re
import signal
import subprocess
from urllib.request import ProxyHandler, build_opener

import pytest
from support.server import PROGRAM, clean_environment, run

from opentrail.sandbox.catalog import operations
from opentrail.sandbox.serve import listen

STOP_S_MAX = 10


def test_the_list_has_every_operation_on_a_line(tmp_path):
    done = run("sandbox", "--list", home=tmp_path)
    assert done.returncode == 0
    assert [tuple(line.split("\t")) for line in done.stdout.splitlines()] == operations()


def test_the_list_as_json(tmp_path):
    done = run("sandbox", "--list", "--json", home=tmp_path)
    assert [tuple(row.values()) for row in json.loads(done.stdout)] == operations()


@pytest.mark.parametrize(
    ("address", "says"), [("0.0.0.0:0", "listens on loopback"), ("4541", "not HOST:PORT")]
)
def test_a_wrong_address_is_one_line(tmp_path, address, says):
    refused(run("sandbox", "--listen", address, home=tmp_path), says)


def test_a_port_in_use_is_one_line(tmp_path):
    with listen("127.0.0.1", 0) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        refused(run("sandbox", "--listen", address, home=tmp_path), "choose another port")


def refused(done, says):
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert says in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_answers_where_it_says_until_it_is_told_to_end(tmp_path, number):
    process = subprocess.Popen(
        [PROGRAM, "sandbox", "--listen", "127.0.0.1:0"],
        env=clean_environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stderr is not None
        found = re.search(r"http://\S+:\d+", process.stdout.readline())
        assert found is not None
        with build_opener(ProxyHandler({})).open(found[0]) as answer:
            assert answer.headers["x-opentrail-sandbox"] == "stand-in"
        process.send_signal(number)
        process.wait(STOP_S_MAX)
        assert "Traceback" not in process.stderr.read()
