# SPDX-License-Identifier: Apache-2.0
"""Generate ``src/opentrail/sdk/operations.json``: how calls are recorded that their models do not tell.

The botocore plugin knows an operation's model alone. Of those whose event source, event name, category,
``readOnly`` or secrets do not follow from it by the plugin's own rules, the gateway's rules are kept.
Run it after these or the models have changed:

    python scripts/generate_sdk_operations.py
"""

import sys
from collections.abc import Container
from pathlib import Path

import msgspec

from opentrail.aws import tables
from opentrail.capture.coverage import Covered, Rule, coverage, services
from opentrail.sdk.operations import Known, by_model
from opentrail.sdk.shapes import is_secret

TABLE = Path(__file__).parents[1] / "src" / "opentrail" / "sdk" / "operations.json"
TOLD_BY_MODEL: frozenset[Rule] = frozenset({"binary", "sensitive"})
BY_OUR_WORD: frozenset[Rule] = frozenset({"credential", "table"})


def table() -> bytes:
    """Return the file: service, operation, what is known; a line for each service."""
    lines = []
    for service in services():
        signing_name = tables.services()[service].signing_name
        known = {
            each.operation: _known(each)
            for each in coverage(service)
            if _known(each) != by_model(signing_name, each.operation)
        }
        if known:
            lines.append(b'"%b":%b' % (service.encode(), msgspec.json.encode(known)))
    return b"{\n" + b",\n".join(lines) + b"\n}\n"


def _known(each: Covered) -> Known:
    is_data = each.category == "Data"
    return Known(
        event_source=each.event_source,
        event_name=each.event_name,
        category=each.category,
        data_type=each.resource_type,
        reads=each.read_only,
        answers=each.response_elements if is_data or each.read_only else True,
        left_out=_left_out(each, "request", () if is_data else TOLD_BY_MODEL),
        answer_left_out=_left_out(each, "answer", TOLD_BY_MODEL),
        hidden=sorted(_hidden(each)),
    )


def _left_out(each: Covered, part: str, told: Container[Rule]) -> list[str]:
    """Return the members at the top of a request or an answer that records do not show."""
    found = [field for field in each.left_out if field.part == part and field.rule not in told]
    return sorted(field.path for field in found if field.path.isalnum())


def _hidden(each: Covered) -> set[str]:
    """Return the members, at any depth, that are hidden though neither model nor name says so."""
    fields = [field for field in each.hidden + each.left_out if field.rule in BY_OUR_WORD]
    names = {field.path.rpartition(".")[2].removesuffix("[]") for field in fields}
    return {name for name in names if not is_secret(name)}.difference(
        _left_out(each, "request", TOLD_BY_MODEL), _left_out(each, "answer", TOLD_BY_MODEL)
    )


if __name__ == "__main__":
    sys.exit(TABLE.write_bytes(table()) == 0)
