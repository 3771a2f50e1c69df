# SPDX-License-Identifier: Apache-2.0
"""Records as the gateway makes them, all different, the same in every run."""

import itertools
import json
import random
from collections.abc import Iterator
from pathlib import Path

from opentrail.clock import SystemClock, SystemIds, iso_seconds
from opentrail.eventlog.base import Draft, Origin
from opentrail.eventlog.options import LogOptions
from opentrail.eventlog.segments import Segments
from opentrail.eventlog.training import UNATTENDED, train

BATCH = 1000
"""Records of one append where many come at once."""
TRAINED_RECORDS = 20_000
"""Some 6 MB of a log: a server makes its dictionary at 4 MiB."""
_OPERATIONS = ("CreateModel", "DescribeModel", "CreateEndpoint", "ListModels", "DeleteModel")


def drafts(count: int) -> list[Draft]:
    """Return ``count`` different records of about a kilobyte."""
    source = random.Random(7)
    now_ms = SystemClock().now_ms()
    return [Draft(Origin.CAPTURE, _record(source, now_ms)) for _ in range(count)]


def _record(source: random.Random, now_ms: int) -> bytes:
    name = f"model-{source.getrandbits(48):012x}"
    operation = source.choice(_OPERATIONS)
    user = source.randrange(50)
    arn = f"arn:aws:sagemaker:us-east-1:123456789012:model/{name}"
    record = {
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "IAMUser",
            "principalId": f"AIDA{user:017}",
            "arn": f"arn:aws:iam::123456789012:user/user-{user}",
            "accountId": "123456789012",
            "accessKeyId": f"AKIA{user:016}",
            "userName": f"user-{user}",
        },
        "eventTime": iso_seconds(now_ms - source.randrange(3_600_000)),
        "eventSource": "sagemaker.amazonaws.com",
        "eventName": operation,
        "awsRegion": "us-east-1",
        "sourceIPAddress": f"192.0.2.{source.randrange(250)}",
        "userAgent": "Boto3/1.44.5 md/Botocore#1.44.5 ua/2.1 os/linux lang/python#3.11",
        "requestParameters": {
            "modelName": name,
            "primaryContainer": {"image": "kmeans:latest", "environment": "HIDDEN"},
            "executionRoleArn": "arn:aws:iam::123456789012:role/bench-role",
        },
        "responseElements": {"modelArn": arn} if operation.startswith("Create") else None,
        "requestID": f"{source.getrandbits(128):032x}",
        "eventID": f"{source.getrandbits(128):032x}",
        "readOnly": operation.startswith(("Describe", "List")),
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": "123456789012",
        "eventCategory": "Management",
    }
    return json.dumps(record, separators=(",", ":")).encode()


def open_log(data: Path) -> Segments:
    """Open the log of the directory ``data``, however full the disk is."""
    return Segments.open(data, SystemClock(), SystemIds(), LogOptions(disk_reserve_bytes=0))


def write_trained(data: Path, drafts: Iterator[Draft]) -> None:
    """Write a log of ``drafts``, compressed as a server does it, by what the first ones have in common."""
    log = open_log(data)
    for number in itertools.count(1):
        some = list(itertools.islice(drafts, BATCH))
        log.append(some)
        if len(some) < BATCH:
            break
        if number * BATCH == TRAINED_RECORDS:
            train(data, UNATTENDED)
            log.renew()
    log.close()


def write_log(data: Path, count: int) -> None:
    """Write a log of ``count`` records, which no index knows yet."""
    some = drafts(20 * BATCH)
    log = open_log(data)
    for number in range(count // BATCH):
        first = number % 20 * BATCH
        log.append(some[first : first + BATCH])
    log.close()
