# SPDX-License-Identifier: Apache-2.0
"""What the demo shows of its trail: files, digests and the AWS CLI's verdict."""

from opentrail.cli.demo_find import Record
from opentrail.cli.demo_trail import Delivered
from opentrail.cli.demo_world import BUCKET


def delivered_lines(delivered: Delivered) -> list[str]:
    """Return what became of the trail, line by line."""
    files, digests = delivered.files, delivered.digests
    of_log = f"{delivered.records} of {delivered.selected} selected events"
    counts = f"{of_log} in {len(files)} log files, {len(digests)} digests"
    lines = ["", f"trail {delivered.trail_arn}", f"  {counts}, in s3://{BUCKET}"]
    for key, records in list(files.items())[:1]:
        lines.append(f"  first log file: {key}")
        lines.extend(f"    first record: {_said(record)}" for record in records[:1])
    lines.extend(f"  last digest: {key}" for key in digests[-1:])
    lines.append("  aws cloudtrail validate-logs:")
    lines.extend(f"    {line}" for line in delivered.validated.lines)
    return [*lines, ""]


def delivered_facts(delivered: Delivered) -> dict[str, object]:
    """Return what became of the trail, for a JSON document."""
    return {
        "trail_arn": delivered.trail_arn,
        "bucket": BUCKET,
        "selected": delivered.selected,
        "delivered": delivered.records,
        "files": [
            {"key": key, "event_ids": [record["eventID"] for record in records]}
            for key, records in delivered.files.items()
        ],
        "first_record": next((records[0] for records in delivered.files.values()), None),
        "digests": delivered.digests,
        "validate_logs": {
            "exit_code": delivered.validated.exit_code,
            "lines": delivered.validated.lines,
        },
        "problems": delivered.problems,
    }


def _said(record: Record) -> str:
    return f"{record['eventName']} {record['eventID']} at {record['eventTime']}"
