# SPDX-License-Identifier: Apache-2.0
"""Records as senders would make them."""

from typing import Any

EVENT_ID = "0c1ad6b7-1111-4222-8333-444455556666"
NOW_S = 1_795_867_200
"""2026-11-28T12:00:00Z."""


def record(**fields: Any) -> dict[str, Any]:
    """Return a record of an API call, with other values for some fields."""
    return {
        "eventVersion": "1.08",
        "userIdentity": {
            "type": "IAMUser",
            "principalId": "AIDAEXAMPLE",
            "arn": "arn:aws:iam::123456789012:user/Mary",
            "accountId": "123456789012",
            "userName": "Mary",
        },
        "eventTime": "2026-11-28T10:00:00Z",
        "eventSource": "orders.example.com",
        "eventName": "CreateOrder",
        "awsRegion": "us-east-1",
        "sourceIPAddress": "192.0.2.1",
        "userAgent": "curl/8",
        "requestParameters": {"modelName": "m"},
        "responseElements": None,
        "requestID": "11",
        "eventID": EVENT_ID,
        "readOnly": False,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": "123456789012",
        "eventCategory": "Management",
        **fields,
    }


def sign_in() -> dict[str, Any]:
    """Return the record of a sign-in that failed: no such user."""
    return record(
        userIdentity={
            "type": "IAMUser",
            "accountId": "123456789012",
            "accessKeyId": "",
            "userName": "HIDDEN_DUE_TO_SECURITY_REASONS",
        },
        eventSource="signin.amazonaws.com",
        eventName="ConsoleLogin",
        errorMessage="No username found in supplied account",
        requestParameters=None,
        responseElements={"ConsoleLogin": "Failure"},
        additionalEventData={"LoginTo": "https://example.com", "MFAUsed": "No"},
        eventType="AwsConsoleSignIn",
    )


def vpce() -> dict[str, Any]:
    """Return the record of a call that a VPC endpoint denied."""
    kept = {
        "eventVersion",
        "eventTime",
        "eventSource",
        "eventName",
        "awsRegion",
        "sourceIPAddress",
        "eventID",
        "requestID",
        "recipientAccountId",
    }
    return {name: value for name, value in record().items() if name in kept} | {
        "userIdentity": {"type": "AWSAccount", "principalId": "AIDA", "accountId": "210987654321"},
        "errorCode": "VpceAccessDenied",
        "errorMessage": "The request was denied due to a VPC endpoint policy",
        "eventType": "AwsVpceEvent",
        "vpcEndpointId": "vpce-1",
        "vpcEndpointAccountId": "123456789012",
        "eventCategory": "NetworkActivity",
    }
