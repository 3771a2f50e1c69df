# SPDX-License-Identifier: Apache-2.0
"""A pytest fixture that waits for events: ``pytest_plugins = ["opentrail.testing"]``.

The server's data directory is said by --opentrail-data=DIR or OPENTRAIL_DATA. Without the = pytest
takes a directory that is there for one of tests, and does not read the conftest.py of the working directory.
"""

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from opentrail.cli.expect import expect
from opentrail.clock import SystemClock
from opentrail.config import DATA_DEFAULT
from opentrail.errors import UsageError
from opentrail.history.query import parse
from opentrail.history.search import Question

SINCE_S_DEFAULT = 60.0
WITHIN_S_DEFAULT = 5.0

ExpectEvent = Callable[..., dict[str, Any]]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --opentrail-data."""
    text = "Data directory of the OpenTrail server whose events are expected."
    parser.addoption("--opentrail-data", help=text)


@pytest.fixture
def expect_event(request: pytest.FixtureRequest) -> ExpectEvent:
    """Return a function that waits for an event and returns its record.

    ``expect_event("EventName=PutRecord and Username=ada", within_s=5)``; the query is that of
    ``opentrail search``. Events up to ``since_s`` seconds old count, too. Raises: AssertionError:
    none came in time. UsageError: there is no log, or the query says nothing.
    """
    chosen = request.config.getoption("--opentrail-data") or os.environ.get("OPENTRAIL_DATA")
    data = Path(chosen or DATA_DEFAULT)
    if not (data / "log").is_dir():
        said = "name the server's data directory by --opentrail-data=DIR or OPENTRAIL_DATA"
        raise UsageError(f"no log in {data}: {said}")

    def expect_one(
        query: str, within_s: float = WITHIN_S_DEFAULT, since_s: float = SINCE_S_DEFAULT
    ) -> dict[str, Any]:
        clock = SystemClock()
        start_s = math.floor(clock.now_ms() / 1000 - since_s)
        hits = expect(data, Question(parse(query), start_s), 1, within_s, clock)
        assert hits, f"no event came within {within_s:g} s: {query}"
        record: dict[str, Any] = json.loads(hits[0].event.data)
        return record

    return expect_one
