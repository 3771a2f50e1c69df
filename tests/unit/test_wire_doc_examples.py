# SPDX-License-Identifier: Apache-2.0
"""The commands of CloudTrail's own documentation, by the AWS CLI, and what it prints of the answers.

Each group of commands (create, then what is done with it) runs against trails of the names that it
uses. Examples that the CLI itself cannot read (placeholders, misprints) are left out and counted.
"""

import gzip
import json
import os
import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support import wire_server
from support.aws_many import aws_many
from support.trail_rooms import SmallBucket, SmallTargets, TrailRooms
from support.wire_server import ADMIN, PRINCIPALS, SmallHistory, serving

from opentrail.trails.keys import PublicKey
from opentrail.trails.names import check_name
from opentrail.trails.organization import ListedOrganization, Organization
from opentrail.trails.trail import Trail

BESIDE = Path(__file__).parents[3] / "shared"
SHARED = Path(os.environ.get("OPENTRAIL_SHARED", str(BESIDE)))
EXAMPLES = SHARED / "data" / "doc_cli_examples.jsonl.gz"
ACCOUNT, REGION = "123456789012", "us-east-2"
OF_TRAILS = re.compile(
    r"aws cloudtrail (?:(?:create|update|delete|get|describe)-trails?(?:-status)?|(?:put|get)-event-"
    r"selectors|get-insight-selectors|put-insight-selectors|(?:add|remove|list)-tags|"
    r"list-public-keys|(?:start|stop)-logging)\b"
)
NAMES = re.compile(r"(?:--(?:trail-)?name[ =]|trail/)([A-Za-z0-9._-]+)")
REGIONS = re.compile(r"--region[ =]([a-z0-9-]+)|cloudtrail:([a-z0-9-]+):")
WHOLE = {"TrailARN", "ResourceTagList", "PublicKeyList", "trailList", "IsLogging"}
"""Every answer has one of them; without, the documentation shows a part only."""
LATER = ("AdvancedEventSelectors", "Latest", "StartLogging", "StopLogging", "trailList")
"""Members that come with time, or with other trails than these, begin so."""
EXPECTED = {
    "InsightNotEnabledException": "get-insight-selectors",
    "UnsupportedOperationException": "put-insight-selectors",
    "InvalidCloudWatchLogsLogGroupArnException": "log_group_arn",
}
"""Errors that OpenTrail gives on purpose -> what is in the command: Insights, a placeholder."""
UNREADABLE_MAX = 5
"""Examples that the CLI does not read: "[--start-time <start-time>]"."""
COMMANDS_MIN = 40


class AnyBuckets(dict[str, SmallBucket]):
    """Every bucket is there."""

    def find(self, name: str) -> SmallBucket:
        return self.setdefault(name, SmallBucket(name))


@pytest.fixture
def rooms(monkeypatch):
    made = TrailRooms()
    made.targets = SmallTargets()
    made.trails_max = 1000
    made.organizations = ListedOrganization(Organization("o-exampleorgid", ACCOUNT), made.state)
    made.keys = [PublicKey(b"der", 0, 2**41, "0f" * 16)]
    monkeypatch.setattr(made, "buckets", AnyBuckets())
    principal = replace(PRINCIPALS[ADMIN.access_key_id], account=ACCOUNT)
    monkeypatch.setattr(wire_server, "PRINCIPALS", {ADMIN.access_key_id: principal})
    return made


def examples() -> list[tuple[str, Any]]:
    """Return (command, documented output), those of trails that are whole; a misprint is mended."""
    with gzip.open(EXAMPLES, "rt", encoding="utf-8") as file:
        found = [json.loads(line) for line in file]
    return [
        (each["command"].replace("true]}]", "true}]"), each["output"])
        for each in found
        if OF_TRAILS.match(each["command"]) and not each["command"].endswith(("\\", "selectors"))
    ]


def prepared(rooms: TrailRooms, number: int, command: str) -> list[str]:
    """Make the trails that a command names; return its arguments, with names of its own.

    So all examples can run one after the other, and none sees what another did.
    """
    region = next((a or b for a, b in REGIONS.findall(command)), REGION)
    command = NAMES.sub(lambda found: f"{found[0]}-{number}", command)
    for name in dict.fromkeys(NAMES.findall(command)):
        check_name(name)
        if "create-trail" not in command:
            trail = Trail(
                id=f"{number}-{name}",
                name=name,
                account=ACCOUNT,
                home_region=region,
                bucket="my-bucket",
            )
            rooms.registry.change(trail, "CreateTrail")
    arguments = shlex.split(command)[1:]
    return arguments if "--region" in command else [*arguments, "--region", region]


def without_number(value: Any, number: int) -> Any:
    return json.loads(json.dumps(value).replace(f"-{number}", ""))


@pytest.mark.skipif(
    not EXAMPLES.exists(),
    reason="no shared examples: set OPENTRAIL_SHARED to the folder that has data/",
)
def test_documented_commands_work_and_answer_as_documented(rooms, tmp_path):
    found = examples()
    with serving(SmallHistory(), rooms) as endpoint:
        commands = [prepared(rooms, 500 + n, command) for n, (command, _) in enumerate(found)]
        answers = aws_many(commands, endpoint, ADMIN, REGION, tmp_path)
    wrong = []
    unreadable = 0
    for n, ((command, documented), (code, out, err)) in enumerate(zip(found, answers, strict=True)):
        refusal = re.search(r"\((\w+)\) when calling", err)
        if code and refusal is None:
            unreadable += 1
        elif refusal is not None:
            if EXPECTED.get(refusal[1], "nothing") not in command:
                wrong.append(f"{command}: {err}")
        elif documented and WHOLE & documented.keys():
            shown = without_number(json.loads(out), 500 + n)
            wrong += [f"{command}: {said}" for said in differences(command, documented, shown)]
    assert wrong == []
    assert unreadable <= UNREADABLE_MAX
    assert len(found) > COMMANDS_MIN


def differences(command: str, documented: dict[str, Any], shown: dict[str, Any]) -> list[str]:
    """Return what the documentation shows and OpenTrail does not."""
    if "put-event-selectors" in command:
        # One example shows the answer of another.
        same = not selectors(documented) or selectors(documented) == selectors(shown)
        return [] if same else [f"{documented} is not {shown}"]
    if "describe-trails" in command and "trailList" not in documented:
        shown = shown["trailList"][0] | {"S3KeyPrefix": ""}
    return [
        f"no {name} in {shown}"
        for name, value in documented.items()
        if value != [] and name not in shown and not name.startswith(LATER)
    ]


def selectors(shown: dict[str, Any]) -> Any:
    """Return the selectors of either family."""
    return shown.get("EventSelectors") or shown.get("AdvancedEventSelectors")
