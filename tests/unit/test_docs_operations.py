# SPDX-License-Identifier: Apache-2.0
"""The pages of operations are true: every command of theirs answers what the page shows."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support import wire_server
from support.aws_many import aws_many
from support.doc_commands import examples
from support.trail_rooms import SmallBucket, SmallBuckets, SmallTargets, TrailRooms
from support.wire_server import ADMIN, PRINCIPALS, SmallHistory, serving

from opentrail.trails.keys import PublicKey
from opentrail.trails.organization import ListedOrganization, Organization
from opentrail.wire.operations import ANSWERED

PAGES = Path(__file__).parents[2] / "docs" / "operations"
NAMES = sorted(path.stem for path in PAGES.glob("*.md"))
ACCOUNT = "123456789012"
MEMBERS = ("222222222222", "333333333333")
TIME = re.compile(r'"[0-9]{4}-[0-9]{2}-[0-9]{2}T[^"]*"|\b[0-9]{9,10}\.[0-9]+\b')
BUCKET = "audit-logs"


@pytest.fixture
def endpoint(monkeypatch) -> Iterator[str]:
    rooms = TrailRooms()
    rooms.targets = SmallTargets()
    rooms.buckets = SmallBuckets({BUCKET: SmallBucket(BUCKET)})
    rooms.organizations = ListedOrganization(
        Organization("o-exampleorgid", ACCOUNT, MEMBERS), rooms.state
    )
    rooms.keys = [PublicKey(b"the key in DER", 2**40, 2**41, "8eba5db5bea9b640d1c96a77256fe7f2")]
    principal = replace(PRINCIPALS[ADMIN.access_key_id], account=ACCOUNT)
    monkeypatch.setattr(wire_server, "PRINCIPALS", {ADMIN.access_key_id: principal})
    with serving(SmallHistory(), rooms) as address:
        yield address


def printed(answer: tuple[int, str, str]) -> str:
    """Return what the CLI prints, times as the page has them."""
    _, out, err = answer
    return TIME.sub('"…"', (out or err).strip())


@pytest.mark.parametrize("name", NAMES)
def test_every_command_answers_what_the_page_shows(name, endpoint, tmp_path):
    found = examples((PAGES / f"{name}.md").read_text(encoding="utf-8"))
    assert found
    commands = [shlex.split(each.command)[1:] for each in found]
    answers = aws_many(commands, endpoint, ADMIN, "us-east-1", tmp_path)
    for each, answer in zip(found, answers, strict=True):
        assert printed(answer) == each.shown.strip(), each.command


def test_every_operation_but_lookup_events_is_on_a_page():
    pages = "\n".join(path.read_text(encoding="utf-8") for path in PAGES.glob("*.md"))
    named = set(re.findall(r"\b[A-Z][a-z]+[A-Z]\w+", pages))
    assert set(ANSWERED) - {"LookupEvents"} <= named
