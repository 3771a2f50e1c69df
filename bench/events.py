# SPDX-License-Identifier: Apache-2.0
"""Many synthetic events of about 1.5 KB, as an account of some size makes them; seeded, Zipf.

A few operations and callers make most of the calls, many make few. Made fast: a few thousand whole
events are drawn once, and each event is one of them with ids and a time of its own.
"""

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from opentrail.clock import iso_seconds

ACCOUNT = "123456789012"
REGIONS = ("us-east-1", "eu-west-1", "ap-northeast-1")
USERS = 400
ROLES = 60
NAMES = 5_000
FAILED_SHARE = 0.06
SHAPES = 4_000
"""Different events before ids and time."""
CALLS: Sequence[tuple[str, str, bool, str, str]] = (
    # service, operation, reads, member of the name, what its ARN begins with
    ("sagemaker", "DescribeEndpoint", True, "endpointName", "endpoint"),
    ("sagemaker", "DescribeTrainingJob", True, "trainingJobName", "training-job"),
    ("sagemaker", "ListModels", True, "nameContains", ""),
    ("kms", "Decrypt", True, "encryptionAlgorithm", ""),
    ("sts", "AssumeRole", True, "roleSessionName", ""),
    ("personalize", "DescribeCampaign", True, "campaignArn", ""),
    ("s3", "GetBucketAcl", True, "bucketName", ""),
    ("sagemaker", "CreateModel", False, "modelName", "model"),
    ("sagemaker", "CreateTrainingJob", False, "trainingJobName", "training-job"),
    ("devops-guru", "ListInsights", True, "NextToken", ""),
    ("sagemaker", "CreateEndpoint", False, "endpointName", "endpoint"),
    ("personalize", "CreateDatasetImportJob", False, "jobName", "dataset-import-job"),
    ("sagemaker", "DeleteEndpoint", False, "endpointName", ""),
    ("iam", "GetRole", True, "roleName", ""),
    ("iam", "CreateUser", False, "userName", ""),
    ("devops-guru", "UpdateResourceCollection", False, "Action", ""),
    ("sagemaker", "CreateFeatureGroup", False, "featureGroupName", "feature-group"),
    ("personalize", "CreateSolution", False, "name", "solution"),
    ("sagemaker", "StopTrainingJob", False, "trainingJobName", ""),
    ("sagemaker", "DeleteModel", False, "modelName", ""),
)
DETAIL = {
    "containers": [
        {
            "image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/inference:2026.11",
            "modelDataUrl": "s3://models-123456789012/{name}/model.tar.gz",
            "environment": "HIDDEN_DUE_TO_SECURITY_REASONS",
        }
    ],
    "vpcConfig": {
        "securityGroupIds": ["sg-0123456789abcdef0", "sg-0fedcba9876543210"],
        "subnets": ["subnet-0123456789abcdef0", "subnet-0fedcba9876543210"],
    },
    "executionRoleArn": "arn:aws:iam::123456789012:role/service-role/SageMakerExecutionRole",
    "tags": [{"key": "team", "value": "fraud"}, {"key": "stage", "value": "production"}],
}


@dataclass(frozen=True)
class Span:
    """When the events happen: evenly, in order, from ``start_ms`` on."""

    start_ms: int
    events_s: float = 1000.0


def zipf(source: random.Random, count: int, exponent: float = 1.1) -> Iterator[int]:
    """Yield numbers below ``count``; small ones are much more frequent."""
    weights = list(accumulate(1 / (rank + 1) ** exponent for rank in range(count)))
    numbers = range(count)
    while True:
        yield from source.choices(numbers, cum_weights=weights, k=4096)


def events(count: int, span: Span, seed: int = 7) -> Iterator[bytes]:
    """Yield ``count`` events, oldest first."""
    source = random.Random(seed)
    shapes = [_shape(source) for _ in range(SHAPES)]
    second, time = -1, b""
    for number, which in zip(range(count), zipf(source, SHAPES), strict=False):
        now_s = (span.start_ms + int(number * 1000 / span.events_s)) // 1000
        if now_s != second:
            second, time = now_s, iso_seconds(now_s * 1000).encode()
        start, middle, end = shapes[which]
        ids = source.getrandbits(256)
        yield b"".join((start, time, middle, _uuid(ids >> 128), b'","eventID":"', _uuid(ids), end))


def _uuid(bits: int) -> bytes:
    text = f"{bits & (1 << 128) - 1:032x}"
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}".encode()


_calls = zipf(random.Random(11), len(CALLS), 0.9)
_callers = zipf(random.Random(12), USERS + ROLES)
_names = zipf(random.Random(13), NAMES)


def _shape(source: random.Random) -> tuple[bytes, bytes, bytes]:
    """Return one event in three parts: time and ids come between them."""
    service, operation, reads, member, arn = CALLS[next(_calls)]
    region = source.choices(REGIONS, (6, 3, 1))[0]
    name = f"{('fraud', 'churn', 'ranker', 'prices')[source.randrange(4)]}-{next(_names):05}"
    failed = source.random() < FAILED_SHARE
    record: dict[str, object] = {
        "eventVersion": "1.11",
        "userIdentity": _identity(next(_callers)),
        "eventTime": "@",
        "eventSource": f"{service}.amazonaws.com",
        "eventName": operation,
        "awsRegion": region,
        "sourceIPAddress": f"198.51.100.{source.randrange(250)}",
        "userAgent": "Boto3/1.44.5 md/Botocore#1.44.5 ua/2.1 os/linux#6.8.0-79-generic md/arch#x86_64"
        " lang/python#3.11.9 md/pyimpl#CPython m/Z,b,D cfg/retry-mode#legacy Botocore/1.44.5",
    }
    if failed:
        record["errorCode"] = "ValidationException"
        record["errorMessage"] = f"Could not find {name}."
    details = json.loads(json.dumps(DETAIL).replace("{name}", name)) if not reads else {}
    record |= {
        "requestParameters": {member: name, **details},
        "responseElements": (
            {f"{arn}Arn": f"arn:aws:{service}:{region}:{ACCOUNT}:{arn}/{name}"}
            if arn and not reads and not failed
            else None
        ),
        "requestID": "@",
        "readOnly": reads,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": ACCOUNT,
        "eventCategory": "Management",
        "tlsDetails": {
            "tlsVersion": "TLSv1.3",
            "cipherSuite": "TLS_AES_128_GCM_SHA256",
            "clientProvidedHostHeader": f"api.{service}.{region}.amazonaws.com",
        },
    }
    text = json.dumps(record, separators=(",", ":")).encode()
    start, middle, end = text.split(b'"@"')
    return start + b'"', b'"' + middle + b'"', b'"' + end


def _identity(number: int) -> dict[str, object]:
    if number >= ROLES:
        user = f"user-{number - ROLES:03}"
        return {
            "type": "IAMUser",
            "principalId": f"AIDA{number:017}",
            "arn": f"arn:aws:iam::{ACCOUNT}:user/{user}",
            "accountId": ACCOUNT,
            "accessKeyId": f"AKIA{number:016}",
            "userName": user,
        }
    role, session = f"pipeline-{number:02}", f"run-{number * 7919 % 10_000:04}"
    return {
        "type": "AssumedRole",
        "principalId": f"AROA{number:017}:{session}",
        "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{session}",
        "accountId": ACCOUNT,
        "accessKeyId": f"ASIA{number:016}",
        "sessionContext": {
            "sessionIssuer": {
                "type": "Role",
                "principalId": f"AROA{number:017}",
                "arn": f"arn:aws:iam::{ACCOUNT}:role/{role}",
                "accountId": ACCOUNT,
                "userName": role,
            },
            "attributes": {"creationDate": "2026-11-01T08:00:00Z", "mfaAuthenticated": "false"},
        },
    }
