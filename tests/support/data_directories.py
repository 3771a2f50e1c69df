# SPDX-License-Identifier: Apache-2.0
"""Data directories with a log of chosen records, for the commands that read one."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from support.log_files import HandClock
from support.seeded_ids import SeededIds

from opentrail.eventlog.base import Draft, Origin
from opentrail.eventlog.options import LogOptions
from opentrail.eventlog.segments import Segments
from opentrail.history.index import History, Sizes

ACCOUNT = "123456789012"


def record(number: int, **changes: Any) -> dict[str, Any]:
    """Return the ``number``-th record of a log; ``changes`` replace whole fields of it."""
    return {
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "IAMUser",
            "principalId": "AIDACKCEVSQ6C2EXAMPLE",
            "arn": f"arn:aws:iam::{ACCOUNT}:user/ada",
            "accountId": ACCOUNT,
            "accessKeyId": "AKIAIOSFODNN7EXAMPLE",
            "userName": "ada",
        },
        "eventTime": f"2026-01-31T10:{number // 60:02}:{number % 60:02}Z",
        "eventSource": "sagemaker.amazonaws.com",
        "eventName": "CreateModel",
        "awsRegion": "us-east-1",
        "sourceIPAddress": "127.0.0.1",
        "userAgent": "test",
        "requestParameters": {"modelName": f"model-{number}"},
        "responseElements": None,
        "eventID": f"0f2b3e81-0000-4000-8000-{number:012}",
        "readOnly": False,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": ACCOUNT,
        "eventCategory": "Management",
    } | changes


def data_directory(data: Path, records: Sequence[dict[str, Any]], *, indexed: bool = False) -> Path:
    """Write a log of ``records``, in frames of ten, and its index if ``indexed``; return ``data``."""
    clock = HandClock()
    log = Segments.open(data, clock, SeededIds(1), LogOptions(disk_reserve_bytes=0))
    drafts = [Draft(Origin.CAPTURE, encoded(each)) for each in records]
    for first in range(0, len(drafts), 10):
        log.append(drafts[first : first + 10])
    if indexed:
        history = History.open(data / "history", log, clock, sizes=Sizes(flush_rows=10))
        while history.step():
            pass
    log.close()
    return data


def encoded(record: dict[str, Any]) -> bytes:
    """Return a record's JSON, one line, with nothing escaped that need not be."""
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()
