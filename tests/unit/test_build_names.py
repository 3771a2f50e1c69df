# SPDX-License-Identifier: Apache-2.0
"""What RDS, IAM, DynamoDB, KMS, STS and Secrets Manager records do not take from the model."""

import json

import pytest
from support.calls import ACCOUNT, REGION, Made, called

HIDDEN = "HIDDEN_DUE_TO_SECURITY_REASONS"


def test_rds_answers_are_unwrapped():
    answer = (
        b"<CreateDBInstanceResponse><CreateDBInstanceResult><DBInstance>"
        b"<DBInstanceIdentifier>d</DBInstanceIdentifier><DbInstancePort>0</DbInstancePort>"
        b"</DBInstance></CreateDBInstanceResult></CreateDBInstanceResponse>"
    )
    params = {
        "DBInstanceIdentifier": "d",
        "DBInstanceClass": "c",
        "Engine": "mysql",
        "MasterUserPassword": "SECRET",
    }
    record = called("rds", "CreateDBInstance", params, answer)
    assert record["responseElements"] == {"dBInstanceIdentifier": "d", "dbInstancePort": 0}
    assert record["requestParameters"]["masterUserPassword"] == HIDDEN


@pytest.mark.parametrize(
    ("code", "name"),
    [("NoSuchEntity", "NoSuchEntityException"), ("Throttling", "ThrottlingException")],
)
def test_query_services_are_recorded_with_the_name_of_the_error(code, name):
    error = f"<Error><Code>{code}</Code><Message>no</Message></Error>"
    answer = f"<ErrorResponse>{error}</ErrorResponse>".encode()
    record = called("iam", "GetUser", {"UserName": "u"}, answer, status=400)
    assert (record["errorCode"], record["errorMessage"]) == (name, "no")


def test_a_password_of_iam_leaves_no_trace():
    record = called("iam", "CreateLoginProfile", {"UserName": "u", "Password": "SECRET"})
    assert record["requestParameters"] == {"userName": "u"}


def test_an_item_of_dynamodb_shows_its_key_and_the_names_of_its_attributes():
    made = Made(
        "dynamodb",
        "UpdateItem",
        {
            "TableName": "Music",
            "Key": {"Artist": {"S": "No One"}, "Year": {"N": "1"}, "Blob": {"B": "eA=="}},
            "UpdateExpression": "SET #Y = :y",
            "ExpressionAttributeValues": {":y": {"S": "SECRET"}},
        },
        {},
        protocol="json",
    )
    record = made.record()
    assert record["requestParameters"] == {
        "tableName": "Music",
        "key": {"Artist": "No One", "Year": "1"},
        "updateExpression": "SET #Y = :y",
    }
    assert record["apiVersion"] == "2012-08-10"
    put = Made(
        "dynamodb",
        "PutItem",
        {"TableName": "Music", "Item": {"Artist": {"S": "SECRET"}}},
        {},
        protocol="json",
    )
    assert put.record()["requestParameters"] == {"tableName": "Music", "item": ["Artist"]}


@pytest.mark.parametrize(
    ("operation", "sent", "answer", "arns"),
    [
        ("Encrypt", {"KeyId": "alias/a"}, {"KeyId": "arn:aws:kms:r:1:key/k"}, ["r:1:key/k"]),
        ("DescribeKey", {"KeyId": "k"}, None, [f"{REGION}:{ACCOUNT}:key/k"]),
        ("DescribeKey", {"KeyId": "alias/a"}, None, [f"{REGION}:{ACCOUNT}:alias/a"]),
        ("CreateKey", {}, {"KeyMetadata": {"Arn": "arn:aws:kms:r:1:key/n"}}, ["r:1:key/n"]),
        (
            "CreateAlias",
            {"AliasName": "alias/a", "TargetKeyId": "k"},
            {},
            [f"{REGION}:{ACCOUNT}:key/k", f"{REGION}:{ACCOUNT}:alias/a"],
        ),
        ("ListKeys", {}, None, None),
    ],
)
def test_kms_events_name_the_key(operation, sent, answer, arns):
    record = Made("kms", operation, sent, answer).record()
    shown = record.get("resources")
    assert (shown and [each["ARN"].removeprefix("arn:aws:kms:") for each in shown]) == arns
    assert "SECRET" not in json.dumps(record)


STREAM = f"arn:aws:kinesis:{REGION}:210987654321:stream/s"
FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:f"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:t"
QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT}:q"
PHONE = f"arn:aws:sns:{REGION}:{ACCOUNT}:endpoint/GCM/app/1"


@pytest.mark.parametrize(
    ("service", "operation", "params", "kind", "arn"),
    [
        ("kinesis", "PutRecord", {"StreamARN": STREAM}, "Kinesis::Stream", STREAM),
        ("kinesis", "GetRecords", {"StreamARN": STREAM}, "Kinesis::Stream", STREAM),
        (
            "kinesis",
            "PutRecords",
            {"StreamName": "n"},
            "Kinesis::Stream",
            f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/n",
        ),
        ("lambda", "Invoke", {"FunctionName": "f:PROD"}, "Lambda::Function", FUNCTION),
        ("lambda", "Invoke", {"FunctionName": f"{FUNCTION}:7"}, "Lambda::Function", FUNCTION),
        (
            "lambda",
            "Invoke",
            {"FunctionName": "210987654321:function:f:7"},
            "Lambda::Function",
            FUNCTION.replace(ACCOUNT, "210987654321"),
        ),
        ("sqs", "SendMessage", {"QueueUrl": "http://q.example/q"}, "SQS::Queue", QUEUE),
        (
            "sqs",
            "SendMessage",
            {"QueueUrl": "https://q.example/210987654321/q"},
            "SQS::Queue",
            QUEUE.replace(ACCOUNT, "210987654321"),
        ),
        ("sns", "Publish", {"TopicArn": TOPIC}, "SNS::Topic", TOPIC),
        ("sns", "Publish", {"TargetArn": TOPIC}, "SNS::Topic", TOPIC),
        ("sns", "Publish", {"TargetArn": PHONE}, "SNS::PlatformEndpoint", PHONE),
    ],
)
def test_what_has_several_names_is_known_by_each(service, operation, params, kind, arn):
    (found,) = called(service, operation, params)["resources"]
    account = arn.split(":")[4]
    assert found == {"accountId": account, "type": f"AWS::{kind}", "ARN": arn}


def test_events_go_to_the_default_bus_where_they_name_none():
    entries = [{"Detail": "d"}, {"Detail": "d", "EventBusName": "b"}, {"Detail": "e"}]
    record = called("events", "PutEvents", {"Entries": entries})
    places = [one["ARN"] for one in record["resources"]]
    before = f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/"
    assert places == [f"{before}default", f"{before}b"]


def test_events_show_their_ids_and_hide_what_is_in_them():
    hidden = "HIDDEN_DUE_TO_SECURITY_REASONS"
    entry = {"Source": "a", "DetailType": "t", "Detail": '{"n": 1}', "EventBusName": "b"}
    answer = b'{"FailedEntryCount":0,"Entries":[{"EventId":"1"}]}'
    record = called("events", "PutEvents", {"Entries": [entry]}, answer)
    shown = {"source": "a", "detailType": "t", "detail": hidden, "eventBusName": "b"}
    assert record["requestParameters"] == {"entries": [shown]}
    assert record["responseElements"] == {"failedEntryCount": 0, "entries": [{"eventId": "1"}]}
    assert (record["apiVersion"], record["eventVersion"]) == ("2015-10-07", "1.11")
    record = called("events", "PutPartnerEvents", {"Entries": [{"Source": "aws.partner/x/y"}]})
    (source,) = record["resources"]
    assert source["type"] == "AWS::Events::EventSource"
    assert source["ARN"] == f"arn:aws:events:{REGION}::event-source/aws.partner/x/y"


def test_invoicing_is_as_on_the_wire():
    preference = {"EinvoiceDeliveryActivationDate": 1773619200, "Protocol": "CXML"}
    params = {"BuyerDomain": "NetworkID", "EinvoiceDeliveryPreference": preference}
    record = called("invoicing", "CreateProcurementPortalPreference", params)
    assert record["requestParameters"] == params
    assert record["eventVersion"] == "1.11"


@pytest.mark.parametrize(
    ("service", "operation", "params"),
    [
        ("budgets", "DescribeBudgets", {"AccountId": ACCOUNT}),
        ("connect", "GetContactAttributes", {"InitialContactId": "c", "InstanceId": "i"}),
        ("databrew", "CreateProfileJob", {"DatasetName": "d", "Name": "n", "RoleArn": "r"}),
        ("dataexchange", "CreateDataSet", {"AssetType": "S3_SNAPSHOT", "Name": "n"}),
        ("dlm", "CreateLifecyclePolicy", {"ExecutionRoleArn": "r", "State": "ENABLED"}),
        ("location", "CreateTracker", {"TrackerName": "t"}),
        ("mediatailor", "PutPlaybackConfiguration", {"Name": "n", "AdDecisionServerUrl": "u"}),
        ("mwaa", "CreateCliToken", {"Name": "n"}),
        ("oam", "CreateSink", {"Name": "n"}),
        ("resource-groups", "DeleteGroup", {"GroupName": "g"}),
        ("rum", "CreateAppMonitor", {"Name": "n", "CwLogEnabled": True}),
        ("wellarchitected", "CreateWorkload", {"WorkloadName": "w", "Lenses": ["l"]}),
    ],
)
def test_services_that_record_what_was_on_the_wire(service, operation, params):
    assert called(service, operation, params)["requestParameters"] == params


def test_synthetics_names_a_canary_as_the_path_does():
    params = {"Name": "n", "Schedule": {"Expression": "rate(1 minute)"}}
    record = called("synthetics", "UpdateCanary", params)
    assert record["requestParameters"] == {"name": "n", "Schedule": params["Schedule"]}


def test_events_of_rum_are_in_lower_case_and_without_what_they_say():
    event = {"id": "e", "timestamp": 1715891540, "type": "com.amazon.rum.dom_event"}
    params = {
        "Id": "73ddbd81-1234-5678-b246-123456789012",
        "BatchId": "123456-3dd0-4ada-b246-123456789",
        "AppMonitorDetails": {"name": "n", "version": "1.0.0"},
        "UserDetails": {"userId": "u", "sessionId": "s"},
        "RumEvents": [{**event, "metadata": '{"a": "SECRET"}', "details": '{"b": "SECRET"}'}],
    }
    record = called("rum", "PutRumEvents", params)
    assert record["requestParameters"] == {
        "id": params["Id"],
        "batchId": params["BatchId"],
        "appMonitorDetails": params["AppMonitorDetails"],
        "userDetails": params["UserDetails"],
        "rumEvents": [{**event, "timestamp": "May 16, 2024, 8:32:20 PM"}],
    }
    assert record["responseElements"] is None
    (monitor,) = record["resources"]
    assert monitor["type"] == "AWS::RUM::AppMonitor"


def test_what_is_sensitive_on_the_wire_is_starred():
    params = {
        "InstanceId": "i",
        "RoutingProfileId": "r",
        "PhoneConfig": {"PhoneType": "SOFT_PHONE"},
    }
    params |= {"Username": "u", "Password": "p", "SecurityProfileIds": ["s"]}
    shown = called("connect", "CreateUser", params)["requestParameters"]
    assert (shown["InstanceId"], shown["Password"]) == ("i", "***")


ITEM = {"Artist": {"S": "a"}, "Year": {"N": "1999"}}


def table(name: str) -> dict[str, str]:
    place = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}"
    return {"accountId": ACCOUNT, "type": "AWS::DynamoDB::Table", "ARN": place}


def test_a_transaction_of_dynamodb_is_a_list_of_operations_without_values():
    update = {
        "TableName": "m",
        "Key": {"Artist": {"S": "a"}},
        "UpdateExpression": "SET #y = :y",
        "ExpressionAttributeNames": {"#y": "Year"},
        "ExpressionAttributeValues": {":y": {"N": "1999"}},
    }
    items = [{"Put": {"TableName": "m", "Item": ITEM}}, {"Update": update}]
    items.append({"Delete": {"TableName": "n", "Key": {"Artist": {"S": "b"}}}})
    record = called("dynamodb", "TransactWriteItems", {"TransactItems": items})
    assert record["requestParameters"] == {
        "requestItems": [
            {"operation": "Put", "items": ["Artist", "Year"], "tableName": "m"},
            {
                "operation": "Update",
                "key": {"Artist": "a"},
                "updateExpression": "SET #y = :y",
                "tableName": "m",
                "expressionAttributeNames": {"#y": "Year"},
            },
            {"operation": "Delete", "key": {"Artist": "b"}, "tableName": "n"},
        ]
    }
    assert record["resources"] == [table("n"), table("m")]


@pytest.mark.parametrize(
    ("operation", "params"),
    [
        ("BatchGetItem", {"RequestItems": {"m": {"Keys": [ITEM]}, "n": {"Keys": [ITEM]}}}),
        ("BatchWriteItem", {"RequestItems": {"m": [{"PutRequest": {"Item": ITEM}}], "n": []}}),
    ],
)
def test_a_batch_of_dynamodb_names_its_tables_alone(operation, params):
    record = called("dynamodb", operation, params)
    assert record["requestParameters"] is None
    assert record["resources"] == [table("m"), table("n")]


def test_a_role_and_a_parameter_are_named_as_delivered():
    role = "arn:aws:iam::210987654321:role/r"
    form = f"Action=AssumeRole&Version=2011-06-15&RoleArn={role}&RoleSessionName=s".encode()
    assert Made("sts", "AssumeRole", form).record()["resources"] == [
        {"accountId": "210987654321", "type": "AWS::IAM::Role", "ARN": role}
    ]
    for name in ("/a/b", "x"):
        record = Made("ssm", "GetParameter", {"Name": name}, protocol="json").record()
        place = f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/{name.lstrip('/')}"
        assert record["resources"] == [{"accountId": ACCOUNT, "ARN": place}]


@pytest.mark.parametrize(
    ("service", "code", "kept"),
    [
        ("sts", "AccessDenied", False),
        ("sts", "ValidationError", True),
        ("iam", "AccessDenied", True),
    ],
)
def test_a_call_that_was_not_even_read_has_null_parameters(service, code, kept):
    operation = {"sts": "GetFederationToken", "iam": "GetUser"}[service]
    params = {"Name": "n"} if service == "sts" else {"UserName": "n"}
    answer = f"<ErrorResponse><Error><Code>{code}</Code></Error></ErrorResponse>".encode()
    record = called(service, operation, params, answer, status=403)
    assert record["errorCode"] == code
    assert (record["requestParameters"] is not None) is kept


@pytest.mark.parametrize(
    ("service", "operation", "params", "code"),
    [
        (
            "sts",
            "AssumeRole",
            {"RoleArn": "arn:aws:iam::210987654321:role/r", "RoleSessionName": "s"},
            "AccessDenied",
        ),
        ("ssm", "PutParameter", {"Name": "n", "Value": "v"}, "ThrottlingException"),
    ],
)
def test_a_call_that_was_not_even_read_names_no_resources(service, operation, params, code):
    answers = {"sts": f"<Error><Code>{code}</Code></Error>", "ssm": json.dumps({"__type": code})}
    record = called(service, operation, params, answers[service].encode(), status=400)
    assert record["errorCode"] == code
    assert record["requestParameters"] is None
    assert "resources" not in record


@pytest.mark.parametrize(
    ("operation", "spelling"), [("PutSecretValue", "arn"), ("DeleteSecret", "aRN")]
)
def test_secrets_are_named_as_delivered_records_spell_them(operation, spelling):
    answer = {"ARN": "a", "Name": "n"}
    made = Made("secretsmanager", operation, {"SecretString": "SECRET"}, answer, protocol="json")
    record = made.record()
    assert record["responseElements"][spelling] == "a"
    assert ("name" in record["responseElements"]) is (operation == "DeleteSecret")
    assert record["requestParameters"] is None


def test_a_body_of_api_gateway_has_a_key_of_its_own():
    params = {"restApiId": "r", "stageName": "s", "deploymentId": "d"}
    assert called("apigateway", "CreateStage", params)["requestParameters"] == {
        "restApiId": "r",
        "createStageInput": {"stageName": "s", "deploymentId": "d"},
        "template": False,
    }
    read = called("apigateway", "GetStage", {"restApiId": "r", "stageName": "s"})
    assert read["requestParameters"] == {"restApiId": "r", "stageName": "s", "template": False}


def test_what_proves_who_calls_is_not_recorded():
    params = {
        "RoleArn": "arn:aws:iam::210987654321:role/r",
        "RoleSessionName": "s",
        "SerialNumber": "arn:aws:iam::210987654321:mfa/m",
        "TokenCode": "123456",
    }
    shown = called("sts", "AssumeRole", params)["requestParameters"]
    assert sorted(shown) == ["roleArn", "roleSessionName", "serialNumber"]
    codes = {"AuthenticationCode1": "111111", "AuthenticationCode2": "222222"}
    mfa = {"UserName": "u", "SerialNumber": "m", **codes}
    assert called("iam", "EnableMFADevice", mfa)["requestParameters"] == {
        "userName": "u",
        "serialNumber": "m",
    }


def test_the_data_api_of_rds_has_an_event_type_of_its_own():
    params = {"resourceArn": f"arn:aws:rds:{REGION}:{ACCOUNT}:cluster:c", "secretArn": "s"}
    record = called("rds-data", "ExecuteStatement", {**params, "sql": "SECRET"})
    assert (record["eventType"], record["eventCategory"]) == ("Rds Data Service", "Data")
