# SPDX-License-Identifier: Apache-2.0
"""Which operations are data events, for the services that have no table of their own.

``data_events.txt`` has one block for each resource type of CloudTrail's data events and the
operations that act on it. Where AWS documents the operations, the block names them; where it
documents only the type, the rule is: every operation of a service that is nothing but a data plane,
those for tags apart. Payloads are the customer's data: these events record identifiers only.
Source: CloudTrail User Guide, "Logging data events", and the logging page of each service.
"""

import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from opentrail.capture.rules import Named, OperationRules

ALL = "*"
"""In place of operations: all that the service has, but those for tags."""
_ABSENT = "-"


class DataEvents(NamedTuple):
    """The data events of one service."""

    every: Named | None
    """What all its operations act on, where it is nothing but a data plane."""
    operations: Mapping[str, OperationRules]


class Block(NamedTuple):
    """The data events of one resource type, in one service."""

    service: str
    """botocore's service directory."""
    named: tuple[Named, ...]
    """By each of the members; one without any, where no member names it."""
    operations: tuple[str, ...]


def data_events(service: str) -> DataEvents | None:
    """Return the data events of ``service`` (botocore's service directory); None: it has none."""
    return _by_service().get(service)


def blocks() -> Iterator[Block]:
    """Yield the blocks of the table."""
    lines = Path(__file__).with_name("data_events.txt").read_text().splitlines()
    head: list[str] = []
    operations: list[str] = []
    for line in [*lines, "end"]:
        if line.startswith(" "):
            operations += line.split()
        elif line and not line.startswith("#"):
            if head:
                yield _block(head, operations)
            head, operations = line.split(), []


def _block(head: list[str], operations: list[str]) -> Block:
    service, resource_type, members, place = head
    arn = "" if place == _ABSENT else "arn:{partition}:" + place
    named = tuple(
        Named(resource_type, () if member == _ABSENT else (member,), arn)
        for member in members.split(",")
    )
    return Block(service, named, tuple(operations))


@functools.cache
def _by_service() -> Mapping[str, DataEvents]:
    found: dict[str, DataEvents] = {}
    for block in blocks():
        if block.operations == (ALL,):
            found[block.service] = DataEvents(block.named[0], {})
            continue
        before = found.get(block.service, DataEvents(None, {}))
        first, *more = block.named
        rules = OperationRules(
            data=first,
            named=block.named if more else (),
            identifiers_only=True,
            response=False,
        )
        rows = {**before.operations, **dict.fromkeys(block.operations, rules)}
        found[block.service] = DataEvents(before.every, rows)
    return found
