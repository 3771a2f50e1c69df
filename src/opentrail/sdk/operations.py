# SPDX-License-Identifier: Apache-2.0
"""How the calls of an operation are recorded: event source and name, category, ``readOnly``.

Mostly that follows from the operation's model; what does not is in ``operations.json``, which
``scripts/generate_sdk_operations.py`` makes of the rules by which the gateway records.
"""

import functools
import re
from pathlib import Path

import msgspec

TABLE = Path(__file__).with_name("operations.json")
_READ = re.compile(
    r"(?:Get|List|Describe|Head|BatchGet|BatchDescribe|Search|Lookup|Query|Scan|Select|Check"
    r"|Detect|Validate|Simulate|Render)(?![a-z])"
)


class Known(msgspec.Struct, frozen=True, array_like=True):
    """What the records of one operation have in common."""

    event_source: str
    event_name: str
    category: str
    """Management or Data."""
    data_type: str
    """Of a data event: the type of what it acts on, "" where there is none."""
    reads: bool
    answers: bool
    """Whether responseElements tell the answer, if there is one."""
    left_out: list[str] = []
    """Parameters that are the users' data, or that records do not show."""
    answer_left_out: list[str] = []
    """Members of the answer that records do not show."""
    hidden: list[str] = []
    """Members, at any depth of both, whose values are hidden: capabilities and payload that neither
    their model nor their name gives away."""


def known(service: str, signing_name: str, operation: str) -> Known:
    """Return how calls of an operation are recorded; ``service`` is botocore's name of its service."""
    return _table().get(service, {}).get(operation) or by_model(signing_name, operation)


def by_model(signing_name: str, operation: str) -> Known:
    """Return what follows from the names: a management event, which reads if its first word says so."""
    reads = _READ.match(operation) is not None
    return Known(f"{signing_name}.amazonaws.com", operation, "Management", "", reads, not reads)


@functools.cache
def _table() -> dict[str, dict[str, Known]]:
    return msgspec.json.decode(TABLE.read_bytes(), type=dict[str, dict[str, Known]])
