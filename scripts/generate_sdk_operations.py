# SPDX-License-Identifier: Apache-2.0
"""Generate ``src/opentrail/sdk/operations.json``: how calls are recorded that their models do not tell.

The botocore plugin knows an operation's model alone. Of those whose event source, event name, category
or ``readOnly`` does not follow from it by the plugin's own rules, the gateway's rules are kept. Run it
after these or the models have changed:

    python scripts/generate_sdk_operations.py
"""

import sys
from pathlib import Path

import msgspec

from opentrail.aws import tables
from opentrail.capture.coverage import Covered, coverage, services
from opentrail.sdk.operations import Known, by_model

TABLE = Path(__file__).parents[1] / "src" / "opentrail" / "sdk" / "operations.json"


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
    left_out = [field.path for field in each.left_out if field.part == "request"]
    return Known(
        event_source=each.event_source,
        event_name=each.event_name,
        category=each.category,
        data_type=each.resource_type,
        reads=each.read_only,
        answers=each.response_elements if is_data or each.read_only else True,
        left_out=sorted(path for path in left_out if is_data and path.isalnum()),
    )


if __name__ == "__main__":
    sys.exit(TABLE.write_bytes(table()) == 0)
