# SPDX-License-Identifier: Apache-2.0
"""``opentrail search``: every filter, every form, and nothing of a record acts on the terminal."""

import csv
import io
import json
import re
import subprocess
import tracemalloc
from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb
import pytest
from support.data_directories import data_directory, encoded, record
from support.memory_log import MemoryLog
from support.searches import numbers
from support.server import PROGRAM, clean_environment, run
from support.terminal import lines_of, on_terminal

from opentrail.eventlog.base import Entry, Origin
from opentrail.history.search import Question, Searcher

EVIL = "\x1b[31m\x1b]0;owned\x07\x9b2J\u202e\r\n\x7f[bold]x[/bold][/]:smile:"
FULL = Path("/dev/full")


def identity(user: str, key: str, account: str = "123456789012") -> dict[str, str]:
    return {
        "type": "IAMUser",
        "arn": f"arn:aws:iam::{account}:user/{user}",
        "accountId": account,
        "accessKeyId": key,
        "userName": user,
    }


RECORDS = [
    record(0),
    record(1, eventName="DescribeModel", readOnly=True, requestParameters={"modelName": "m"}),
    record(2, userIdentity=identity("bob", "AKIABOB"), awsRegion="eu-west-1"),
    record(3, eventSource="personalize.amazonaws.com", errorCode="AccessDenied"),
    record(
        4,
        eventName="PutRecord",
        eventCategory="Data",
        managementEvent=False,
        resources=[{"type": "AWS::SageMaker::FeatureGroup", "ARN": "arn:aws:x:::g/g"}],
    ),
    record(5, recipientAccountId="444455556666"),
]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("search")
    data_directory(home / "opentrail-data", RECORDS)
    return home


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ("", [5, 3, 2, 1, 0]),
        ("--category all", [5, 4, 3, 2, 1, 0]),
        ("--category data", [4]),
        ("--event-id 0f2b3e81-0000-4000-8000-000000000002", [2]),
        ("--event-name DescribeModel", [1]),
        ("--event-name describemodel", []),
        ("--event-source personalize.amazonaws.com", [3]),
        ("--username bob", [2]),
        ("--access-key-id AKIABOB", [2]),
        ("--read-only true", [1]),
        ("--read-only false", [5, 3, 2, 0]),
        ("--resource-type AWS::SageMaker::Model --resource-name m", [1]),
        ("--resource-name model-2", [2]),
        ("--account 444455556666", [5]),
        ("--region eu-west-1", [2]),
        ("--username ada --region us-east-1 --read-only false", [5, 3, 0]),
        ("--username bob --region us-east-1", []),
        ("--start-time 2026-01-31T10:00:03Z", [5, 3]),
        ("--end-time 2026-01-31T10:00:01", [1, 0]),
        ("--start-time 2026-01-31T11:00:02+01:00 --end-time 2026-01-31T10:00:02Z", [2]),
        ("--start-time 2026-01-31T10:00:00.5Z --end-time 2026-01-31T10:00:01.5Z", [1]),
        ("--start-time 2026-01-31 --end-time 2026-02-01", [5, 3, 2, 1, 0]),
        ("--start-time 1769853605", [5]),
        ("--start-time 2026-02-01", []),
        ("--max-results 2", [5, 3]),
        ("--max-results 0", [5, 3, 2, 1, 0]),
        ("EventName=DescribeModel", [1]),
        ("eventName=Describe* or Username=bob", [2, 1]),
        ("not EventName=CreateModel", [1]),
        ("Category=Data", [4]),
        ("eventCategory!=Data and errorCode", [3]),
        ("AccessDenied", [3]),
        ("--account 444455556666 --account 123456789012 --region eu-west-1", [2]),
        ("--since 2026-01-31T10:00:03Z --until 2026-01-31T10:00:03Z", [3]),
        ("--username bob EventName=CreateModel", [2]),
    ],
)
def test_filters(home, arguments, found):
    assert numbers(home, *arguments.split()) == found


def test_lookup_is_the_same(home):
    arguments = ("--event-name", "DescribeModel")
    assert (
        run("lookup", *arguments, home=home).stdout == run("search", *arguments, home=home).stdout
    )


def test_nothing_found_says_over_what_and_exits_1(home):
    done = run("search", "--event-name", "Nope", home=home)
    assert (done.returncode, done.stdout) == (1, "")
    said = (
        "0 of 6 events match; the log has events from 2026-01-31T10:00:00Z to 2026-01-31T10:00:05Z"
    )
    assert done.stderr == f"{said}\n"
    assert run("search", "--since", "2026-03-01", home=home).stderr == f"{said}; remove --since\n"
    assert run("search", "--until", "2025-03-01", home=home).stderr == f"{said}; remove --until\n"
    done = run("search", "--event-name", "Nope", "--json", home=home)
    assert (done.returncode, json.loads(done.stdout)) == (1, {"Records": []})


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
def test_an_output_that_is_full_is_one_line(home):
    for form in ("table", "json", "ndjson"):
        with FULL.open("w") as full:
            done = subprocess.run(
                [PROGRAM, "search", "--format", form],
                env=clean_environment(home),
                cwd=home,
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
        assert done.returncode == 3
        assert done.stderr == "opentrail: No space left on device\n"


def test_who_reads_only_the_beginning_sees_no_error(tmp_path):
    data_directory(tmp_path / "d", [record(number) for number in range(3000)])
    command = f"{PROGRAM} search --data d --max-results 3000 | head -n 1"
    done = subprocess.run(
        command,
        shell=True,
        env=clean_environment(tmp_path),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert (len(done.stdout.splitlines()), done.stderr) == (1, "")


def test_an_empty_log_says_so(tmp_path):
    data_directory(tmp_path / "d", [])
    done = run("search", "--data", "d", home=tmp_path)
    assert (done.returncode, done.stderr) == (1, "0 of 0 events: the log is empty\n")


def test_a_directory_without_a_log_is_unavailable(tmp_path):
    (tmp_path / "d" / "log").mkdir(parents=True)
    done = run("search", "--data", "d", home=tmp_path)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.count("\n") == 1


def test_json_has_the_form_of_log_files_and_the_very_bytes(home):
    done = run("search", "--category", "all", "--json", home=home)
    assert json.loads(done.stdout) == {"Records": RECORDS[::-1]}
    assert run("search", "--category", "all", "--format", "json", home=home).stdout == done.stdout
    done = run("search", "--category", "all", "--format", "ndjson", home=home)
    assert done.stdout.encode().splitlines() == [encoded(each) for each in RECORDS[::-1]]


def test_a_pipe_gets_tabs(home):
    done = run("search", "--event-source", "personalize.amazonaws.com", home=home)
    assert done.stdout == (
        "2026-01-31T10:00:03Z\tCreateModel\tada\tAccessDenied\t\tpersonalize\tus-east-1\n"
    )


@pytest.mark.parametrize("columns", [40, 80, 109, 110, 200])
def test_a_table_fits_its_terminal_and_keeps_the_time(home, columns):
    shown = lines_of(on_terminal("search", home=home, columns=columns))
    assert max(map(len, shown)) <= columns
    assert shown[0].split()[:2] == ["Time", "Event"] or columns == 40
    assert [line[:20] for line in shown[1:]] == [RECORDS[n]["eventTime"] for n in (5, 3, 2, 1, 0)]
    assert ("Region" in shown[0]) == (columns >= 110)


def test_output_that_is_not_utf_8_has_escapes(tmp_path):
    data_directory(tmp_path / "opentrail-data", [record(0, eventName="Mod\u00e8le\u65e5")])
    latin = {"PYTHONIOENCODING": "latin-1"}
    for command in ("tail", "search --top EventName", "expect --since 2026 EventName"):
        done = subprocess.run(
            [PROGRAM, *command.split()],
            env=clean_environment(tmp_path) | latin,
            cwd=tmp_path,
            capture_output=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, b"")
        assert "Mod\u00e8le\\u65e5".encode("latin-1") in done.stdout
    ascii_only = {"PYTHONIOENCODING": "ascii", "NO_COLOR": "1"}
    shown = lines_of(on_terminal("search", home=tmp_path, columns=40, **ascii_only))
    assert [line[:23] for line in shown] == ["Time                 Ev", "2026-01-31T10:00:00Z Mo"]


def test_a_table_says_when_there_is_more(home):
    shown = lines_of(on_terminal("search", "--max-results", "2", home=home, columns=80))
    assert shown[-1].startswith("the newest 2; --count")
    shown = lines_of(on_terminal("search", "--max-results", "5", home=home, columns=80))
    assert "newest" not in shown[-1]


def test_errors_are_red(home):
    shown = on_terminal("search", "--category", "all", home=home, columns=80)
    (failed,) = (line for line in shown.splitlines() if "AccessDenied" in line)
    assert failed.startswith("\x1b[31m")
    assert shown.count("\x1b[31m") == failed.count("\x1b[31m")


@pytest.fixture(scope="module")
def evil_home(tmp_path_factory):
    """A log in which callers have put what a terminal would act on wherever they can."""
    home = tmp_path_factory.mktemp("evil")
    evil = record(
        0,
        userAgent=EVIL,
        errorCode=EVIL,
        errorMessage=EVIL,
        eventName=f"a{EVIL}",
        eventSource=EVIL,
        awsRegion=EVIL,
        userIdentity=identity(EVIL, EVIL),
        resources=[{"type": EVIL, "ARN": EVIL}],
    )
    data_directory(home / "opentrail-data", [evil, record(1, errorCode={"not": ["text"]})])
    return home


def acting(text: str) -> list[str]:
    """Return the control and formatting characters of ``text``, but colours and line ends."""
    plain = re.sub(r"\x1b\[[0-9;]*m|\r?\n|\t", "", text)
    return [char for char in plain if not char.isprintable()]


@pytest.mark.parametrize("form", ["table", "json", "ndjson"])
@pytest.mark.parametrize("columns", [80, 500])
def test_a_terminal_gets_nothing_to_act_on(evil_home, form, columns):
    arguments = ("search", "--category", "all", "--format", form)
    shown = on_terminal(*arguments, home=evil_home, columns=columns)
    assert acting(shown) == []
    assert "\x1b]0" not in shown
    colours = set(re.findall(r"\x1b\[[0-9;]*m", shown))
    assert colours <= {"\x1b[0m", "\x1b[1m", "\x1b[31m"}
    if form == "table" and columns > 80:
        assert (
            "\\x1b[31m\\x1b]0;owned\\x07\\x9b2J\\u202e\\r\\n\\x7f[bold]x[/bold][/]:smile:" in shown
        )
    if form == "ndjson":
        assert json.loads(shown.splitlines()[1])["userAgent"] == EVIL


def test_a_pipe_gets_one_line_an_event_whatever_is_in_it(evil_home):
    done = run("search", home=evil_home)
    assert len(done.stdout.splitlines()) == 2
    assert acting(done.stdout) == []


class LongLog(MemoryLog):
    """As many records as asked for, made as they are read."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self._count = count

    def entries(self, start: int, end: int | None = None) -> Iterator[Entry]:
        del start, end
        for number in range(self._count):
            yield Entry(number, 0, Origin.CAPTURE, self._made(number))

    def data_at(self, positions: Sequence[int]) -> list[bytes | None]:
        return [self._made(position) for position in positions]

    @staticmethod
    def _made(number: int) -> bytes:
        return encoded(record(number % 3000, eventID=f"{number}", requestParameters="x" * 5000))


def test_memory_does_not_grow_with_the_log():
    def peak_bytes(count: int) -> int:
        tracemalloc.start()
        searcher = Searcher(LongLog(count), (), 0)
        assert len(list(searcher.newest(Question(), 20))) == 20
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert searcher.read == count
        return peak

    peak_bytes(3000)  # what is cached by value is cached now
    assert peak_bytes(6000) < 2 * peak_bytes(3000)


def test_the_newest_are_by_event_time_then_position():
    log = MemoryLog()
    log.append([encoded(record(number)) for number in (5, 1, 9, 9, 3)])
    searcher = Searcher(log, (), 0)
    hits = list(searcher.newest(Question(), 3))
    assert [hit.time_s % 60 for hit in hits] == [9, 9, 5]
    assert hits[0].position > hits[1].position
    span = searcher.span()
    assert (span.oldest_s % 60, span.newest_s % 60, span.events) == (1, 9, 5)


def test_counts_and_the_most_frequent_values(home):
    assert run("search", "--count", "--category", "all", home=home).stdout == "6\n"
    done = run("search", "--top", "username:1", home=home)
    assert done.stdout == "4\tada\n"
    done = run("search", "--top", "errorCode", home=home)
    assert done.stdout == "4\t-\n1\tAccessDenied\n"
    done = run("search", "--count", "EventName=Nope", home=home)
    assert (done.returncode, done.stdout) == (1, "0\n")


def test_it_says_how_it_found_the_answer(home):
    done = run("search", "--explain", "EventName=DescribeModel", home=home)
    assert "index: EventName=DescribeModel in " in done.stderr
    assert "bytes of log behind the index" in done.stderr
    assert "records read" in done.stderr


def test_a_query_that_cannot_be_understood_is_one_line(home):
    done = run("search", "(EventName=X", home=home)
    assert (done.returncode, done.stdout) == (2, "")
    assert "a bracket that is not closed" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("form", ["ndjson", "json", "csv"])
def test_all_is_every_record_in_the_logs_order(home, form):
    done = run("search", "--all", "--format", form, home=home)
    if form == "ndjson":
        assert done.stdout.encode().splitlines() == [encoded(each) for each in RECORDS]
    elif form == "json":
        assert json.loads(done.stdout) == {"Records": RECORDS}
    else:
        rows = list(csv.DictReader(io.StringIO(done.stdout)))
        assert [json.loads(row["record"]) for row in rows] == RECORDS
    done = run("search", "--all", "--username", "bob", home=home)
    assert (done.returncode, "takes no query" in done.stderr) == (2, True)


def test_csv_opens_in_a_spreadsheet_as_text_only(tmp_path):
    for number, cell in enumerate(("=1+1", "+1", "-1", "@x", "a,b", 'q"q', "two\nlines")):
        data_directory(tmp_path / f"d{number}", [record(0, userAgent=cell)])
        done = run("search", "--data", f"d{number}", "--format", "csv", home=tmp_path)
        assert len(done.stdout.splitlines()) == 2
        (row,) = csv.DictReader(io.StringIO(done.stdout, newline=""))
        assert not row["userAgent"].startswith(("=", "+", "-", "@"))
        assert row["userAgent"].lstrip("'") == cell.replace("\n", "\\n")


def test_parquet_is_read_by_an_engine(home, tmp_path):
    file = tmp_path / "events.parquet"
    arguments = ("--category", "all", "--format", "parquet")
    assert run("search", *arguments, "--output", str(file), home=home).returncode == 0
    with duckdb.connect() as connection:
        rows = connection.execute(
            "select eventName, eventID, record from read_parquet(?)", [str(file)]
        ).fetchall()
    assert [json.loads(row[2]) for row in rows] == RECORDS[::-1]
    assert rows[1][0] == "PutRecord"
    done = run("search", *arguments, home=home)
    assert (done.returncode, "--output FILE.parquet" in done.stderr) == (2, True)


def test_a_file_instead_of_standard_output(home, tmp_path):
    done = run("search", "--json", "--output", str(tmp_path / "found.json"), home=home)
    assert (done.returncode, done.stdout) == (0, "")
    assert len(json.loads((tmp_path / "found.json").read_text())["Records"]) == 5
    done = run("search", "--output", "/nowhere/x", home=home)
    assert (done.returncode, "cannot write /nowhere/x" in done.stderr) == (2, True)


def test_a_damaged_log_shows_what_lies_before_and_where_it_is(tmp_path):
    data = data_directory(tmp_path / "d", [record(number) for number in range(30)])
    (segment,) = (data / "log").glob("*.seg")
    content = bytearray(segment.read_bytes())
    content[-10] ^= 0xFF
    segment.write_bytes(content)
    done = run("search", "--data", "d", "--format", "ndjson", home=tmp_path)
    assert done.returncode == 4
    assert len(done.stdout.splitlines()) == 20
    assert str(segment.name) in done.stderr
    assert done.stderr.count("\n") == 1
