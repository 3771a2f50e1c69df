# SPDX-License-Identifier: Apache-2.0
"""``opentrail selectors test``: what selectors would keep of the newest events, without a server."""

import json
from typing import Any

import pytest
from support.data_directories import ACCOUNT, data_directory, encoded, record
from support.log_files import HandClock
from support.memory_log import MemoryLog
from support.seeded_ids import SeededIds
from support.server import run

from opentrail.event.selectors import EventSelector
from opentrail.state.sqlite import SqliteState
from opentrail.trails.registry import Registry
from opentrail.trails.trail import Trail

EVIL = "\x1b[31mput[bold]"
GROUP = "AWS::SageMaker::FeatureGroup"
DATA = {"eventCategory": "Data", "managementEvent": False, "eventName": "PutRecord"}
RECORDS = [
    record(0),
    record(1, eventName="DescribeModel", readOnly=True),
    record(2, eventName="DescribeModel", readOnly=True, awsRegion="eu-west-1"),
    record(3, recipientAccountId="444455556666"),
    *(record(n, **DATA, resources=[{"type": GROUP, "ARN": "arn:aws:x:::g/g"}]) for n in (4, 5)),
    record(6, eventName=EVIL),
]
ADVANCED = [
    {
        "FieldSelectors": [
            {"Field": "eventCategory", "Equals": ["Data"]},
            {"Field": "resources.type", "Equals": [GROUP]},
        ]
    }
]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A log, and a state with the trail "reads" of one region and account."""
    home = tmp_path_factory.mktemp("selectors")
    data = data_directory(home / "opentrail-data", RECORDS)
    state = SqliteState.open(data / "state.db")
    registry = Registry.open(MemoryLog(), state, HandClock(), SeededIds(1))
    reads = (EventSelector("ReadOnly"),)
    trail = Trail(
        id="1",
        name="reads",
        account=ACCOUNT,
        home_region="us-east-1",
        bucket="b",
        event_selectors=reads,
    )
    registry.change(trail, "CreateTrail")
    state.close()
    (home / "advanced.json").write_text(json.dumps(ADVANCED))
    return home


def tried(home, *arguments: str, code: int = 0, given: Any = None) -> dict[str, Any]:
    if given is not None:
        (home / "given.json").write_text(json.dumps(given))
        arguments = ("given.json", *arguments)
    done = run("selectors", "test", *arguments, "--json", home=home)
    assert done.returncode == code, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def size(*numbers: int) -> int:
    return sum(len(encoded(RECORDS[number])) for number in numbers)


def test_what_would_be_kept_and_how_many_bytes(home):
    shown = tried(home, "advanced.json")
    first, *others = shown.pop("kinds")
    assert shown == {"events": 7, "kept": 2, "keptBytes": size(4, 5)}
    assert first == {
        "eventCategory": "Data",
        "eventSource": "sagemaker.amazonaws.com",
        "eventName": "PutRecord",
        "events": 2,
        "kept": 2,
        "keptBytes": size(4, 5),
    }
    assert [kind["kept"] for kind in others] == [0, 0, 0]
    assert sum(kind["events"] for kind in others) == 5


@pytest.mark.parametrize(
    "given",
    [
        [{"ReadWriteType": "ReadOnly"}],
        {"EventSelectors": [{"ReadWriteType": "ReadOnly"}]},
        {"TrailARN": "arn", "EventSelectors": [{"ReadWriteType": "ReadOnly", "DataResources": []}]},
    ],
)
def test_the_forms_of_a_file(home, given):
    assert tried(home, given=given)["keptBytes"] == size(1, 2)


def test_a_trail_and_a_trail_with_other_selectors(home):
    assert tried(home, "--trail", "reads")["keptBytes"] == size(1)
    assert tried(home, "--trail", "reads", given=[{}])["keptBytes"] == size(0, 1, 6)


def test_the_newest_events_only(home):
    assert tried(home, "advanced.json", "-n", "2")["keptBytes"] == size(5)
    assert tried(home, "advanced.json", "--last", "1", code=1)["events"] == 1


def test_a_table_for_people_does_nothing_to_the_terminal(home):
    done = run("selectors", "test", "advanced.json", home=home, environment={"COLUMNS": "30"})
    assert done.returncode == 0, done.stderr
    (row,) = [line.split() for line in done.stdout.splitlines() if "PutRecord" in line]
    assert row[-4:] == ["PutRecord", "2", "2", f"{size(4, 5):,}"]  # one line for each
    assert f"2 of the newest 7 events would be kept: {size(4, 5):,} bytes" in done.stdout
    assert "\x1b" not in done.stdout
    assert "[bold]" in done.stdout


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "Specify a valid number of selectors (1 to 5) for your trail"),
        ([{"ReadWriteType": "read-only"}], "Value read-only for ReadWriteType is invalid."),
        ([{"FieldSelectors": []}], "The following fields are required: [eventCategory]."),
        ([{"ReadWriteType": 1}], "cannot be read"),
        (7, "cannot be read"),
        ({"TrailName": "x"}, "there are no AdvancedEventSelectors or EventSelectors"),
        ({"advancedEventSelectors": ADVANCED}, "there are no AdvancedEventSelectors"),
        ([{"fieldSelectors": []}], "they have no member 'fieldSelectors'"),
        ([{"ReadWriteType": "All", "Readonly": True}], "they have no member 'Readonly'"),
        ([{"DataResources": [{"type": "AWS::S3::Object"}]}], "they have no member 'type'"),
        (
            [{"FieldSelectors": [{"Field": "eventCategory", "equals": ["Data"]}]}],
            "they have no member 'equals'",
        ),
    ],
)
def test_what_a_trail_cannot_have_is_refused_in_the_services_words(home, given, said):
    (home / "bad.json").write_text(json.dumps(given))
    done = run("selectors", "test", "bad.json", home=home)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def test_nothing_to_try(home, tmp_path):
    assert "--trail NAME" in run("selectors", "test", home=home).stderr
    assert (
        "there is no trail ghost" in run("selectors", "test", "--trail", "ghost", home=home).stderr
    )
    assert run("selectors", "test", "absent.json", home=home).returncode != 0
    (tmp_path / "s.json").write_text("[{}]")
    assert "no log in" in run("selectors", "test", "s.json", home=tmp_path).stderr
