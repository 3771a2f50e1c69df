# SPDX-License-Identifier: Apache-2.0
"""The dictionary that comes with OpenTrail is the one that its script makes, and does its work."""

import os
import subprocess
import sys
from pathlib import Path

import opentrail
from opentrail.eventlog.blob import DICTIONARY_PATH, BlobCodec

SCRIPT = Path(__file__).parents[2] / "scripts" / "train_dictionary.py"
RECORD = (
    b'{"eventVersion":"1.11","userIdentity":{"type":"IAMUser","principalId":"AIDAEXAMPLE",'
    b'"arn":"arn:aws:iam::111122223333:user/alice","accountId":"111122223333",'
    b'"accessKeyId":"AKIAEXAMPLE","userName":"alice"},"eventTime":"2026-11-01T10:00:00Z",'
    b'"eventSource":"sagemaker.amazonaws.com","eventName":"DescribeEndpoint",'
    b'"awsRegion":"us-east-1","sourceIPAddress":"127.0.0.1","userAgent":"Boto3/1.42.1",'
    b'"requestParameters":{"endpointName":"demo"},"responseElements":null,'
    b'"requestID":"6b1b42b9-0000-4000-8000-000000000000",'
    b'"eventID":"a6f85b21-0000-4000-8000-000000000000","readOnly":true,'
    b'"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"111122223333",'
    b'"eventCategory":"Management"}'
)


def test_the_script_makes_the_dictionary_again():
    source = str(Path(opentrail.__file__).parents[1])
    answer = subprocess.run(
        [sys.executable, str(SCRIPT), "--check"],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONPATH": source},
    )
    assert answer.returncode == 0, answer.stderr


def test_the_dictionary_is_worth_having():
    with_it = BlobCodec(DICTIONARY_PATH.read_bytes())
    (blob,) = with_it.compress([RECORD])
    assert with_it.decompress([blob]) == [RECORD]
    assert with_it.decompress_unchecked([blob]) == [RECORD]
    assert len(blob) < 150
    assert len(BlobCodec(b"").compress([RECORD])[0]) > 2 * len(blob)
