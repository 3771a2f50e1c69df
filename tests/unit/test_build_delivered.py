# SPDX-License-Identifier: Apache-2.0
"""What delivered records of single services show, and no model says."""

import json
from urllib.parse import quote, urlencode

import pytest
from support.calls import ACCOUNT, Made, called, caller

from opentrail.capture.call import Tls

HIDDEN = "HIDDEN_DUE_TO_SECURITY_REASONS"
TOPIC = f"arn:aws:sns:us-east-1:{ACCOUNT}:t"
TLS = Tls("TLSv1.3", "TLS_AES_128_GCM_SHA256")


@pytest.mark.parametrize(
    ("service", "operation", "params"),
    [
        ("s3", "GetBucketVersioning", {"Bucket": "b"}),
        ("s3control", "GetPublicAccessBlock", {"AccountId": ACCOUNT}),
    ],
)
def test_s3_has_the_user_agent_in_brackets(service, operation, params):
    assert called(service, operation, params, user_agent="Boto3/1")["userAgent"] == "[Boto3/1]"
    assert "userAgent" not in called(service, operation, params, user_agent="")


def test_a_service_that_calls_s3_and_clients_of_other_services_have_none():
    source = "config.amazonaws.com"
    by_service = caller(invoked_by=source)
    shown = called("s3", "GetBucketAcl", {"Bucket": "b"}, user_agent=source, caller=by_service)
    assert shown["userAgent"] == source
    assert called("sqs", "ListQueues", {}, user_agent="Boto3/1")["userAgent"] == "Boto3/1"


@pytest.mark.parametrize(
    ("service", "operation", "shown"),
    [
        ("kms", "ListAliases", True),
        ("sagemaker", "ListEndpoints", True),
        ("personalize", "ListSchemas", False),
        ("devops-guru", "DescribeFeedback", False),
        ("eks", "ListClusters", False),
    ],
)
def test_tls_details_are_shown_where_the_service_shows_them(service, operation, shown):
    assert ("tlsDetails" in called(service, operation, {}, b"{}", tls=TLS)) is shown


def test_eks_calls_members_in_the_path_as_the_template_does():
    params = {"clusterName": "c", "principalArn": "arn:aws:iam::111122223333:role/r"}
    answer = json.dumps({"accessEntry": {"clusterName": "c"}}).encode()
    shown = called("eks", "CreateAccessEntry", params, answer)
    assert shown["requestParameters"] == {"name": "c", "principalArn": params["principalArn"]}
    assert shown["responseElements"] == {"accessEntry": {"clusterName": "c"}}


@pytest.mark.parametrize(
    ("registry", "owner"),
    [
        ({}, ACCOUNT),
        ({"registryId": "210987654321"}, "210987654321"),
        ({"registryId": "x"}, ACCOUNT),
    ],
)
def test_ecr_names_the_repository_without_a_type(registry, owner):
    params = {"repositoryName": "team/app", **registry}
    shown = called("ecr", "BatchGetImage", {**params, "imageIds": []}, b"{}")
    arn = f"arn:aws:ecr:us-east-1:{owner}:repository/team/app"
    assert shown["resources"] == [{"accountId": owner, "ARN": arn}]
    assert "resources" not in called("ecr", "GetAuthorizationToken", {}, b"{}")


def test_a_status_line_alone_is_no_response():
    shown = called("lambda", "DeleteFunction", {"FunctionName": "f"}, b"", status=204)
    assert shown["eventName"] == "DeleteFunction20150331"
    assert shown["responseElements"] is None


@pytest.mark.parametrize("operation", ["InvokeEndpoint", "InvokeEndpointWithResponseStream"])
@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (
            'Received client error (400) from primary with message "bad input: "a prompt"". See',
            "Received client error (400) from primary with message HIDDEN_DUE_TO_SECURITY_REASONS",
        ),
        ("bad input: a prompt", "HIDDEN_DUE_TO_SECURITY_REASONS"),
    ],
)
def test_what_a_model_answers_is_not_in_the_message_of_its_error(operation, message, shown):
    error = json.dumps({"Message": message, "OriginalMessage": "bad input: a prompt"}).encode()
    record = called(
        "sagemaker-runtime",
        operation,
        {"EndpointName": "e", "Body": b"a prompt"},
        error,
        status=424,
        response_headers={"x-amzn-errortype": "ModelError"},
    )
    assert (record["errorCode"], record["errorMessage"]) == ("ModelError", shown)


@pytest.mark.parametrize(
    ("status", "code", "shown"),
    [
        (503, "RequestLimitExceeded", "Client.RequestLimitExceeded"),
        (500, "InsufficientInstanceCapacity", "Server.InsufficientInstanceCapacity"),
        (403, "UnauthorizedOperation", "Client.UnauthorizedOperation"),
    ],
)
def test_who_was_wrong_is_said_as_ec2_does(status, code, shown):
    answer = f"<Response><Errors><Error><Code>{code}</Code></Error></Errors></Response>".encode()
    assert called("ec2", "DescribeInstances", {}, answer, status=status)["errorCode"] == shown


def test_organizations_masks_who_an_account_is_for():
    params = {"Email": "ada@example.com", "AccountName": "Prod"}
    answer = json.dumps({"CreateAccountStatus": {"Id": "car-1", "AccountName": "Prod"}}).encode()
    shown = called("organizations", "CreateAccount", params, answer)
    assert shown["requestParameters"] == {"email": "****", "accountName": "****"}
    status = {"id": "car-1", "accountName": "****"}
    assert shown["responseElements"] == {"createAccountStatus": status}


def test_a_published_message_is_hidden_and_its_id_is_not():
    text = {"Message": "m", "Subject": "s", "MessageStructure": "json"}
    attributes = {"a": {"DataType": "String", "StringValue": "v"}}
    params = {"TopicArn": TOPIC, **text, "MessageAttributes": attributes}
    result = "<PublishResult><MessageId>0787cd1e</MessageId></PublishResult>"
    answer = f"<PublishResponse>{result}</PublishResponse>".encode()
    shown = called("sns", "Publish", params, answer)
    assert shown["requestParameters"] == {
        "topicArn": TOPIC,
        "message": HIDDEN,
        "subject": HIDDEN,
        "messageStructure": "json",
        "messageAttributes": HIDDEN,
    }
    assert shown["responseElements"] == {"messageId": "0787cd1e"}


def test_a_sent_message_is_hidden_and_its_id_is_not():
    url = f"https://sqs.us-east-1.amazonaws.com/{ACCOUNT}/q"
    answer = {"MD5OfMessageBody": "9a4e3f7a", "MessageId": "93bb6e2d", "SequenceNumber": "188"}
    params = {"QueueUrl": url, "MessageBody": "m", "MessageGroupId": "g"}
    shown = called("sqs", "SendMessage", params, json.dumps(answer).encode())
    assert shown["requestParameters"] == {
        "queueUrl": url,
        "messageBody": HIDDEN,
        "messageGroupId": "g",
    }
    assert shown["responseElements"] == {"messageId": "93bb6e2d", "sequenceNumber": "188"}


def test_a_session_of_cognito_is_given_out_by_a_write_that_says_which():
    params = {"IdentityId": "us-east-1:1cf667a2", "Logins": {"graph.example": "token"}}
    secrets = {"SecretKey": "secret", "SessionToken": "token"}
    credentials = {"AccessKeyId": "ASIAEXAMPLE", **secrets, "Expiration": 1674150908.0}
    answer = {"IdentityId": "us-east-1:1cf667a2", "Credentials": credentials}
    shown = called(
        "cognito-identity", "GetCredentialsForIdentity", params, json.dumps(answer).encode()
    )
    assert shown["readOnly"] is False
    assert shown["requestParameters"]["logins"] == {"graph.example": HIDDEN}
    assert shown["responseElements"]["credentials"] == {
        "accessKeyId": "ASIAEXAMPLE",
        "sessionToken": HIDDEN,
        "expiration": "Jan 19, 2023 5:55:08 PM",
    }
    resource = {"accountId": ACCOUNT, "type": "AWS::Cognito::IdentityPool"}
    assert shown["resources"] == [resource]


def test_records_read_of_a_stream_of_dynamodb_name_the_stream():
    stream = f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/Music/stream/2021-04-15T04:02:47.428"
    shown = called("dynamodbstreams", "GetRecords", {"ShardIterator": f"{stream}|1|AAAA"}, b"{}")
    assert shown["requestParameters"] == {"shardIterator": f"{stream}|1|AAAA"}
    resource = {"accountId": ACCOUNT, "type": "AWS::DynamoDB::Stream", "ARN": stream}
    assert shown["resources"] == [resource]
    assert shown["apiVersion"] == "2012-08-10"
    assert (
        "ARN" not in called("dynamodbstreams", "GetRecords", {"ShardIterator": "x"})["resources"][0]
    )


QUEUE = f"https://sqs.us-east-1.amazonaws.com/{ACCOUNT}/q"
FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("operation", "fields", "result", "parameters", "elements"),
    [
        (
            "SetQueueAttributes",
            {"QueueUrl": QUEUE, "Attribute.1.Name": "Policy", "Attribute.1.Value": "{}"},
            "",
            {"queueUrl": QUEUE, "attributes": {"Policy": "{}"}},
            None,
        ),
        (
            "CreateQueue",
            {"QueueName": "q", "Tag.1.Key": "team", "Tag.1.Value": "a"},
            f"<QueueUrl>{QUEUE}</QueueUrl>",
            {"queueName": "q", "tags": {"team": "a"}},
            {"queueUrl": QUEUE},
        ),
        (
            "AddPermission",
            {"QueueUrl": QUEUE, "Label": "l", "AWSAccountId.1": "1", "ActionName.1": "*"},
            "",
            {"queueUrl": QUEUE, "label": "l", "aWSAccountIds": ["1"], "actions": ["*"]},
            None,
        ),
        (
            "SendMessage",
            {
                "QueueUrl": QUEUE,
                "MessageBody": "m",
                "MessageAttribute.1.Name": "a",
                "MessageAttribute.1.Value.DataType": "String",
                "MessageAttribute.1.Value.StringValue": "v",
            },
            "<MessageId>93bb6e2d</MessageId>",
            {"queueUrl": QUEUE, "messageBody": HIDDEN, "messageAttributes": HIDDEN},
            {"messageId": "93bb6e2d"},
        ),
    ],
)
def test_older_clients_of_sqs_are_understood(operation, fields, result, parameters, elements):
    body = urlencode({"Action": operation, "Version": "2012-11-05", **fields}).encode()
    inside = f"<{operation}Result>{result}</{operation}Result>"
    answer = f"<{operation}Response>{inside}</{operation}Response>".encode()
    made = Made(
        "sqs", operation, body, answer, protocol="query", headers={"content-type": FORM}
    ).record()
    assert made["requestParameters"] == parameters
    assert made["responseElements"] == elements


STORE = f"arn:aws:cloudfront::{ACCOUNT}:key-value-store/a1b2"


def test_keys_of_cloudfronts_stores_are_shown_and_their_values_hidden():
    """CloudFront Developer Guide, "Logging with CloudTrail", "Example: UpdateKeys"."""
    given = {
        "Puts": [{"Key": "k", "Value": "quiet"}],
        "Deletes": [{"Key": "key1"}],
    }
    answer = {"ItemCount": 0, "TotalSizeInBytes": 0}
    made = Made(
        "cloudfront-keyvaluestore",
        "UpdateKeys",
        given,
        answer,
        path=f"/key-value-stores/{quote(STORE, safe='')}/keys",
        headers={"if-match": "KV3O6B1CX531EBP"},
        more={"response_headers": {"etag": "KVDC9VEVZ71ZGO"}},
    ).record()
    assert made["eventVersion"] == "1.09"
    assert made["requestParameters"] == {
        "kvsARN": STORE,
        "ifMatch": "KV3O6B1CX531EBP",
        "puts": [{"key": "k", "value": HIDDEN}],
        "deletes": [{"key": "key1"}],
    }
    assert made["responseElements"] == {
        "itemCount": 0,
        "totalSizeInBytes": 0,
        "eTag": "KVDC9VEVZ71ZGO",
    }
    store = {"accountId": ACCOUNT, "type": "AWS::CloudFront::KeyValueStore", "ARN": STORE}
    assert made["resources"] == [store]
    assert (made["eventCategory"], made["managementEvent"]) == ("Data", False)


def test_denied_calls_of_cloudfront_have_no_parameters():
    denied = b"<ErrorResponse><Error><Code>%b</Code><Message>no</Message></Error></ErrorResponse>"
    path = "/2020-05-31/function/f/publish"
    for code, shown in ((b"AccessDenied", None), (b"NoSuchFunctionExists", {"name": "f"})):
        made = Made(
            "cloudfront",
            "PublishFunction",
            b"",
            denied % code,
            status=403,
            path=path,
            protocol="rest-xml",
        ).record()
        assert made["eventName"] == "PublishFunction"
        assert made["errorCode"] == code.decode()
        assert made["requestParameters"] == shown


def test_pinpoint_shows_bodies_at_the_top_by_the_names_on_the_wire():
    """Pinpoint Developer Guide, "Examples: Amazon Pinpoint log file entries"."""
    path = "/v1/apps/app1/campaigns"
    listed = Made(
        "pinpoint", "GetCampaigns", None, {}, path=path, method="GET", query="page-size=1000"
    ).record()
    assert listed["requestParameters"] == {"application-id": "app1", "page-size": "1000"}
    given = {
        "Name": "n",
        "MessageConfiguration": {"DefaultMessage": {"Body": "b"}},
        "SegmentId": "s",
    }
    answer = {"ApplicationId": "app1", "Name": "n", "State": {"CampaignStatus": "SCHEDULED"}}
    made = Made("pinpoint", "CreateCampaign", given, answer, status=201, path=path).record()
    assert made["requestParameters"] == {
        "application-id": "app1",
        "Name": "***",
        "MessageConfiguration": "***",
        "SegmentId": "s",
    }
    assert made["responseElements"] == {**answer, "Name": "***"}


def test_a_text_message_names_the_number_that_it_came_from():
    """End User Messaging SMS User Guide, "event examples": SendTextMessage."""
    given = {"DestinationPhoneNumber": "+1", "OriginationIdentity": "phone-a", "MessageBody": "m"}
    shown = called("pinpoint-sms-voice-v2", "SendTextMessage", given, b'{"MessageId":"i"}')
    assert shown["requestParameters"] == {
        "destinationPhoneNumber": "+1",
        "originationIdentity": "phone-a",
        "messageBody": HIDDEN,
    }
    assert shown["responseElements"] == {"messageId": "i"}
    arn = f"arn:aws:sms-voice:us-east-1:{ACCOUNT}:phone-number/phone-a"
    assert [each.get("ARN") for each in shown["resources"]] == [arn]
    pool = called("pinpoint-sms-voice-v2", "SendTextMessage", {**given, "OriginationIdentity": "p"})
    assert [each.get("ARN") for each in pool["resources"]] == [None]
    of_pool = arn.replace("phone-number/phone-a", "pool/p")
    pool = called(
        "pinpoint-sms-voice-v2", "SendTextMessage", {**given, "OriginationIdentity": of_pool}
    )
    assert [each.get("ARN") for each in pool["resources"]] == [of_pool]


def test_the_data_api_tells_that_there_was_sql_and_not_what_it_said():
    """Aurora User Guide, "Logging RDS Data API calls with AWS CloudTrail"."""
    cluster = f"arn:aws:rds:us-east-1:{ACCOUNT}:cluster:c"
    given = {
        "resourceArn": cluster,
        "sql": "select",
        "database": "d",
        "parameters": [{"name": "a", "value": {"stringValue": "v"}}],
        "includeResultMetadata": False,
    }
    answer = b'{"records": [[{"stringValue": "v"}]]}'
    shown = called("rds-data", "ExecuteStatement", given, answer)
    assert shown["requestParameters"] == {
        "resourceArn": cluster,
        "sql": "*" * 10,
        "database": "*" * 10,
        "includeResultMetadata": False,
    }
    assert shown["responseElements"] is None


def test_passwords_of_brokers_are_stars():
    """Amazon MQ Developer Guide, "Example Amazon MQ Log File Entries"."""
    users = [{"username": "u", "password": "quiet", "groups": ["g"]}]
    made = Made("mq", "CreateBroker", {"brokerName": "b", "users": users}, path="/v1/brokers")
    assert made.record()["requestParameters"]["users"] == [{**users[0], "password": "***"}]
