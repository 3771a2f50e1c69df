# SPDX-License-Identifier: Apache-2.0
"""What is asked on a command line: never silently something else than what was meant."""

import pytest
from support.data_directories import data_directory, record
from support.searches import numbers
from support.server import run

RECORDS = [
    record(0),
    record(1, eventName="DescribeModel"),
    record(2, errorCode="AccessDenied"),
    record(3, eventName="PutRecord", eventCategory="Data", managementEvent=False),
]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("asking")
    data_directory(home / "opentrail-data", RECORDS)
    return home


@pytest.mark.parametrize(
    ("since", "until"),
    [("2026-02-01T00:00", "2026-01-31"), ("now", "2h"), ("1769853601", "1769853600")],
)
def test_an_end_before_its_beginning_is_a_mistake(home, since, until):
    for more in ([], ["--count"]):
        done = run("search", "--since", since, "--until", until, *more, home=home)
        assert (done.returncode, done.stdout) == (2, "")
        assert f"--since {since} is after --until {until}" in done.stderr
    assert numbers(home, "--since", since, "--until", since) in ([], [1])


@pytest.mark.parametrize("form", ["table", "json", "ndjson", "csv", "parquet"])
def test_what_is_not_all_says_so_in_every_form(home, tmp_path, form):
    file = tmp_path / "events"
    asked = ("search", "--category", "all", "--format", form, "--output", str(file))
    done = run(*asked, "--max-results", "3", home=home)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("the newest 3; --count says how many there are")
    for number in ("4", "0", "9" * 30):
        assert run(*asked, "--max-results", number, home=home).stderr == ""


def test_no_number_is_too_large(home):
    many = "9" * 30
    assert run("tail", "-n", many, home=home).stdout.count("\n") == 3
    done = run("expect", "--since", "3650d", "--within", "0", "--times", many, home=home)
    assert (done.returncode, done.stderr) == (1, f"4 of {many} events came within 0 s\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--top", ""], "--top is FIELD"),
        (["--top", "errorCode:0"], "N from 1"),
        (["--top", f"errorCode:{'9' * 5000}"], "N from 1"),
        (["--top", "errorCode", "--count"], "give one of them"),
        (["--count", "--output", "x"], "leave out --output"),
        (["--top", "errorCode", "--output", "x"], "leave out --output"),
    ],
)
def test_what_would_be_passed_over_is_refused(home, arguments, said):
    done = run("search", *arguments, home=home)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def test_an_event_counts_once_for_a_value_that_it_has_twice(tmp_path):
    twice = record(0, requestParameters={"names": ["b", "a", "b", None, {"c": 1.5}]})
    data_directory(tmp_path / "d", [twice, record(1, requestParameters={"names": []})])
    done = run("search", "--data", "d", "--top", "requestParameters.names", home=tmp_path)
    assert done.stdout == '1\tb\n1\ta\n1\t{"c":1.5}\n1\t-\n'


@pytest.mark.parametrize("command", ["search", "tail"])
def test_where_only_other_categories_match_it_says_so(home, command):
    done = run(command, "EventName=PutRecord", home=home)
    assert (done.returncode, done.stdout) == (1 if command == "search" else 0, "")
    assert "events of other categories match: add --category all\n" in done.stderr
    for more in (["--category", "management"], ["Category=Management"], ["--username", "x"]):
        done = run(command, "EventName=PutRecord", *more, home=home)
        assert "other categories" not in done.stderr


@pytest.mark.parametrize("day", ["2026-01-31", "20260131", "yesterday", "2026"])
def test_a_day_does_not_end_at_its_beginning(home, day):
    done = run("search", "--since", day, "--until", day, home=home)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"--until {day} is the beginning of that day" in done.stderr


def test_an_asterisk_in_a_filter_is_named(home):
    done = run("search", "--event-name", "Create*", home=home)
    assert (done.returncode, done.stdout) == (1, "")
    assert "for any text it stands in a query: 'EventName=Create*'\n" in done.stderr


def test_blanks_around_an_operator_change_nothing(home):
    for query in (["EventName= DescribeModel"], ["EventName", "=", "DescribeModel"]):
        assert numbers(home, *query) == [1]
        assert run("search", "--count", *query, home=home).stdout == "1\n"
    assert numbers(home, "Category = Data") == [3]
    assert numbers(home, "EventName=CreateModel errorCode") == [2]
    assert numbers(home, "requestParameters.category=x or errorCode") == [2]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("EventName=CreateModel or", "ends where a condition should follow or"),
        ("EventName= ", "EventName= has no value"),
        ("EventName:CreateModel", "EventName=CreateModel"),
        ("EventName like Create%", "FIELD=Create*"),
        ("errorMessage~not authorized", """'errorMessage~"not authorized"'"""),
        ("errorMessage~is not authorized", """'errorMessage~"is not authorized"'"""),
        ("EventName!=CreateModel fraud", "several conditions"),
        ("not authorized", """'"not authorized"' with these quotes, or 'not "authorized"'"""),
    ],
)
@pytest.mark.parametrize("command", [["search"], ["search", "--count"], ["tail"], ["expect"]])
def test_what_may_mean_something_else_is_refused(home, command, query, said):
    done = run(*command, query, home=home)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
