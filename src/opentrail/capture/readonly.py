# SPDX-License-Identifier: Apache-2.0
"""Whether an operation only reads, where neither a row nor its model says so.

By ``readonly.json``, which has the operations whose access level in AWS's Service Authorization
Reference contradicts their name (``scripts/generate_readonly.py`` makes it), else by the name.
The HTTP method tells nothing: many reads are POST. Source: readOnly in delivered records.
"""

import functools
import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

_READ = re.compile(
    "(?:Get|List|Describe|Head|BatchGet|BatchDescribe|Search|Lookup|Query|Scan|Select|Check"
    "|Detect|Validate|Simulate|Render)(?![a-z])"
)


class _Exceptions(msgspec.Struct, frozen=True):
    """Operations that their names belie."""

    reads: frozenset[str] = frozenset()
    writes: frozenset[str] = frozenset()


_NONE = _Exceptions()


def reads(service: str, operation: str) -> bool:
    """Return whether ``operation`` of ``service`` (botocore's service directory) only reads."""
    known = _exceptions().get(service, _NONE)
    if operation in known.reads:
        return True
    return operation not in known.writes and named_as_read(operation)


def named_as_read(operation: str) -> bool:
    """Return whether the operation's first word is one of those that only read."""
    return _READ.match(operation) is not None


@functools.cache
def _exceptions() -> Mapping[str, _Exceptions]:
    data = Path(__file__).with_name("readonly.json").read_bytes()
    return msgspec.json.decode(data, type=dict[str, _Exceptions])
