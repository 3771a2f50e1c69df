# SPDX-License-Identifier: Apache-2.0
"""Send a record with the key of a boto3 session, whatever it comes from: a profile, a role, a file."""

import json
import os
import urllib.request
import uuid
from datetime import UTC, datetime

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

record = {
    "eventVersion": "1.08",
    "userIdentity": {"type": "Unknown", "userName": "mary"},
    "eventTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    "eventSource": "vault.example.com",
    "eventName": "OpenVault",
    "awsRegion": "us-east-1",
    "sourceIPAddress": "192.0.2.12",
    "requestParameters": None,
    "responseElements": None,
    "eventID": str(uuid.uuid4()),
    "readOnly": False,
    "eventType": "AwsApiCall",
    "managementEvent": True,
    "recipientAccountId": "123456789012",
    "eventCategory": "Management",
}
endpoint = os.environ.get("OPENTRAIL_SDK_ENDPOINT", "http://127.0.0.1:4540")
url = f"{endpoint}/_opentrail/intake"
body = json.dumps({"Records": [record]}).encode()
request = AWSRequest("POST", url, data=body)
SigV4Auth(boto3.Session().get_credentials(), "opentrail", "us-east-1").add_auth(request)
signed = urllib.request.Request(url, body, dict(request.headers), method="POST")
with urllib.request.urlopen(signed) as answer:
    print(answer.read().decode())
