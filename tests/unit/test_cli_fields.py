# SPDX-License-Identifier: Apache-2.0
"""Misspelt fields and networks, counts for machines, readers that leave: what search and tail say."""

import json
import os
import subprocess

import pytest
from support.data_directories import data_directory, record
from support.server import PROGRAM, clean_environment, run
from support.terminal import on_terminal

RECORDS = [
    record(0),
    record(1, eventName="DescribeModel", requestParameters={"modelName": "m", "tags": [{"k": 1}]}),
    record(2, errorCode="AccessDenied"),
]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("fields")
    data_directory(home / "opentrail-data", RECORDS)
    return home


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("EventNam=CreateModel", "no event has the field EventNam; did you mean eventName?"),
        (
            "not Username=ada and Usrname=x",
            "no event has the field Usrname; did you mean Username?",
        ),
        (
            "requestParameters.modelNme=m",
            "field requestParameters.modelNme; did you mean requestParameters.modelName?",
        ),
        ("requestParameters.tags.kk", "did you mean requestParameters.tags.k?"),
        ("zz.qq~x", "no event has the field zz.qq\n"),
    ],
)
def test_a_field_that_no_event_has_is_named_and_the_nearest_too(home, query, said):
    done = run("search", query, home=home)
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr
    done = run("expect", query, "--within", "0s", "--since", "3650d", home=home)
    assert done.returncode == 1
    assert said in done.stderr
    done = run("tail", query, home=home)
    assert (done.returncode, done.stdout) == (0, "")
    assert said in done.stderr


@pytest.mark.parametrize(
    "query",
    ["EVENTNAME=Nope", "vpcEndpointId", "requestparameters.modelname=x", "user=x", "nothing-here"],
)
def test_a_field_that_there_may_be_is_not(home, query):
    done = run("search", query, home=home)
    assert done.returncode == 1
    assert "no event has" not in done.stderr


def test_counting_by_a_field_that_no_event_has_is_a_mistake(home):
    done = run("search", "--top", "errorCoed", home=home)
    assert (done.returncode, done.stdout) == (2, "")
    assert "did you mean errorCode?" in done.stderr
    done = run("search", "--top", "errorCode", "EventName=DescribeModel", home=home)
    assert (done.returncode, done.stdout) == (0, "1\t-\n")


def test_what_looks_like_a_network_and_is_none_is_a_mistake(home):
    for text in ("10.0.0.0/33", "300.0.0.0/8"):
        done = run("search", f"sourceIPAddress={text}", home=home)
        assert (done.returncode, done.stdout) == (2, "")
        assert f"{text} is no network" in done.stderr


def test_counts_are_json_where_json_is_asked_for(home):
    assert json.loads(run("search", "--count", "--json", home=home).stdout) == {"count": 3}
    done = run("search", "--top", "errorCode", "--json", home=home)
    wanted = [{"value": None, "count": 2}, {"value": "AccessDenied", "count": 1}]
    assert json.loads(done.stdout) == wanted
    done = run("search", "--top", "errorCode:1", "--format", "ndjson", home=home)
    assert [json.loads(line) for line in done.stdout.splitlines()] == wanted[:1]
    done = run("search", "--count", "--format", "csv", home=home)
    assert (done.returncode, done.stdout) == (2, "")


def test_no_answer_and_a_reader_that_left_are_not_the_same(home):
    ours, theirs = os.pipe()
    os.close(ours)
    for command in (["--help"], ["search"], ["search", "--all"], ["tail", "-f"]):
        done = subprocess.run(
            [PROGRAM, *command],
            stdout=theirs,
            stderr=subprocess.PIPE,
            env=clean_environment(home),
            cwd=home,
            check=False,
        )
        assert (done.returncode, done.stderr) == (141, b""), command
    os.close(theirs)


def test_no_error_acts_on_a_terminal(home):
    for command in (["search", "EventName:\x1b[2J"], ["search", "--data", "\x9b2J"], ["\x1b"]):
        done = run(*command, home=home)
        assert done.returncode == 2
        assert done.stderr.removesuffix("\n").isprintable()


@pytest.mark.parametrize("command", [[], ["no-such"], ["search", "("], ["search", "EventName=X"]])
def test_where_nobody_reads_an_error_its_code_is_the_same(home, command):
    ours, theirs = os.pipe()
    os.close(ours)
    environment = clean_environment(home)
    done = subprocess.run(
        [PROGRAM, *command], stdout=theirs, stderr=theirs, env=environment, cwd=home, check=False
    )
    assert done.returncode == (141 if "EventName=X" in command else 2)
    os.close(theirs)


def test_following_ends_with_its_reader_although_nothing_comes(home):
    with subprocess.Popen(
        [PROGRAM, "tail", "-f", "-n", "1"],
        stdout=subprocess.PIPE,
        env=clean_environment(home),
        cwd=home,
    ) as tail:
        assert tail.stdout is not None
        assert tail.stdout.readline()
        tail.stdout.close()
        assert tail.wait(30) == 141


def test_no_colour_where_none_is_wanted(home):
    for command in ("doctor", "status", "search"):
        assert "\x1b[3" in on_terminal(command, home=home, columns=80)
        assert "\x1b[3" not in on_terminal(command, home=home, columns=80, NO_COLOR="1")
