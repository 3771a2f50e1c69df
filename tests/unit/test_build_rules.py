# SPDX-License-Identifier: Apache-2.0
import dataclasses
import gzip
import json

import msgspec
import pytest
from support.calls import ACCOUNT, EVENT_ID, FINISHED_MS, REGION, Made, body, caller, record_of

from opentrail.aws.request import RequestHead, Target
from opentrail.capture.build import (
    BuildSettings,
    Built,
    Skipped,
    build,
    build_unknown,
    response_recorded,
)
from opentrail.capture.call import Outcome
from opentrail.capture.services import SERVICES
from opentrail.event.gap import Gap, gap_event
from opentrail.event.record import FIELD_ORDER

FEATURE_STORE = "sagemaker-featurestore-runtime"
ENDPOINT_ARN = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:endpoint/ExampleEndpoint"
INVOKE = Made(
    "sagemaker-runtime",
    "InvokeEndpoint",
    b"\x00payload",
    b"prediction",
    path="/endpoints/ExampleEndpoint/invocations",
    headers={"content-type": "text/csv", "x-amzn-sagemaker-target-model": "m"},
)


def create_endpoint(**more):
    return Made(
        "sagemaker",
        "CreateEndpoint",
        {"EndpointName": "E", "EndpointConfigName": "C"},
        {"EndpointArn": ENDPOINT_ARN},
        more=more,
    )


# --- which calls, which category -------------------------------------------------------------


@pytest.mark.parametrize(
    ("service", "operation", "path"),
    [
        ("personalize-events", "PutEvents", "/events"),
        ("personalize-events", "PutItems", "/items"),
        ("personalize-runtime", "GetRecommendations", "/recommendations"),
        ("personalize-runtime", "GetPersonalizedRanking", "/personalize-ranking"),
    ],
)
def test_personalize_runtime_and_events_are_counted_and_not_recorded(service, operation, path):
    call = Made(service, operation, {"trackingId": "t", "campaignArn": "a"}, path=path).call()
    assert build(call, BuildSettings()) == Skipped(
        "personalize.amazonaws.com", operation, "unlogged"
    )
    assert build_unknown(call, BuildSettings()) == build(call, BuildSettings())
    recorded = record_of(call, BuildSettings(record_unlogged=True))
    assert recorded["eventCategory"] == "Data"
    assert recorded["managementEvent"] is False
    assert "resources" not in recorded


def test_put_events_keeps_only_where_the_events_went():
    made = Made(
        "personalize-events",
        "PutEvents",
        {"trackingId": "t", "userId": "u", "sessionId": "s", "eventList": [{"itemId": "i"}]},
        path="/events",
    )
    record = made.record(BuildSettings(record_unlogged=True))
    assert record["requestParameters"] == {"trackingId": "t"}


def test_invoke_endpoint_is_a_data_event_without_parameters():
    record = INVOKE.record()
    assert record["requestParameters"] is None
    assert record["responseElements"] is None
    assert (record["eventCategory"], record["managementEvent"]) == ("Data", False)
    assert record["readOnly"] is False
    assert record["resources"] == [
        {
            "accountId": ACCOUNT,
            "type": "AWS::SageMaker::Endpoint",
            "ARN": ENDPOINT_ARN,
        }
    ]


def test_profile_2023_does_not_record_invoke_endpoint():
    then = BuildSettings(service_profile="2023")
    assert build(INVOKE.call(), then) == Skipped(
        "sagemaker.amazonaws.com", "InvokeEndpoint", "profile"
    )
    asynchronous = dataclasses.replace(
        INVOKE, operation="InvokeEndpointAsync", path="/endpoints/E/async-invocations"
    )
    assert isinstance(build(asynchronous.call(), then), Skipped)
    streamed = dataclasses.replace(
        INVOKE,
        operation="InvokeEndpointWithResponseStream",
        path="/endpoints/E/invocations-response-stream",
    )
    assert streamed.record(then)["eventCategory"] == "Data"
    assert create_endpoint().record(then)["eventName"] == "CreateEndpoint"


@pytest.mark.parametrize(
    ("made", "parameters", "names"),
    [
        (
            Made(FEATURE_STORE, "GetRecord", method="GET", path="/FeatureGroup/fg",
                 query="RecordIdentifierValueAsString=7&FeatureName=a&FeatureName=b"),
            {"featureGroupName": "fg", "recordIdentifierValueAsString": "7",
             "featureNames": ["a", "b"]},
            ["fg"],
        ),
        (
            Made(FEATURE_STORE, "DeleteRecord", method="DELETE", path="/FeatureGroup/fg",
                 query="RecordIdentifierValueAsString=7&EventTime=2023-01-01T00%3A00%3A00Z"),
            {"featureGroupName": "fg", "recordIdentifierValueAsString": "7",
             "eventTime": "2023-01-01T00:00:00Z"},
            ["fg"],
        ),
        (
            Made(FEATURE_STORE, "BatchGetRecord",
                 {"Identifiers": [
                     {"FeatureGroupName": "b", "RecordIdentifiersValueAsString": ["1"]},
                     {"FeatureGroupName": "a", "RecordIdentifiersValueAsString": ["2"]},
                     {"FeatureGroupName": "b", "RecordIdentifiersValueAsString": ["3"]}]},
                 {"Records": [{"FeatureGroupName": "b"}]}, path="/BatchGetRecord"),
            {"identifiers": [
                {"featureGroupName": "b", "recordIdentifiersValueAsString": ["1"]},
                {"featureGroupName": "a", "recordIdentifiersValueAsString": ["2"]},
                {"featureGroupName": "b", "recordIdentifiersValueAsString": ["3"]}]},
            ["b", "a"],
        ),
        (
            Made(FEATURE_STORE, "BatchWriteRecord",
                 {"Entries": [{"FeatureGroupName": "fg", "TargetStores": ["OnlineStore"],
                               "Record": [{"FeatureName": "x", "ValueAsString": "private"}]}]},
                 {"Errors": []}, path="/BatchWriteRecord"),
            {"entries": [{"featureGroupName": "fg"}]},
            ["fg"],
        ),
        (
            Made(FEATURE_STORE, "UpdateRecord",
                 {"RecordIdentifierValueAsString": "7",
                  "Features": [{"FeatureName": "x", "ValueAsString": "private"}]},
                 method="PATCH", path="/FeatureGroup/fg"),
            {"featureGroupName": "fg"},
            ["fg"],
        ),
    ],
)  # fmt: skip
def test_feature_store_keeps_identifiers_and_no_values(made, parameters, names):
    record = made.record()
    assert record["requestParameters"] == parameters
    assert record["responseElements"] is None
    assert record["eventSource"] == "sagemaker.amazonaws.com"
    base = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:feature-group/"
    assert [found["ARN"] for found in record["resources"]] == [base + name for name in names]
    assert {found["type"] for found in record["resources"]} == {"AWS::SageMaker::FeatureGroup"}


def test_a_resource_named_by_its_arn_keeps_it():
    arn = "arn:aws:sagemaker:eu-west-1:210987654321:feature-group/theirs"
    made = Made(
        FEATURE_STORE,
        "BatchGetRecord",
        {"Identifiers": [{"FeatureGroupName": arn, "RecordIdentifiersValueAsString": ["1"]}]},
        path="/BatchGetRecord",
    )
    assert [found["ARN"] for found in made.record()["resources"]] == [arn]


def test_resources_are_those_of_the_regions_partition():
    call = INVOKE.call()
    call.caller = caller(region="us-gov-west-1")
    assert record_of(call)["resources"][0]["ARN"].startswith("arn:aws-us-gov:sagemaker:us-gov")


def test_management_events_have_no_resources():
    assert "resources" not in create_endpoint().record()


# --- names, casing, order, times -------------------------------------------------------------


def test_the_fields_are_in_the_order_of_delivered_records():
    call = INVOKE.call()
    call.status, call.response = 400, body(b'{"__type":"ValidationError","message":"no"}')
    call.caller = caller(verified=False)
    names = list(record_of(call))
    assert names == [name for name in FIELD_ORDER if name in names]
    assert {"errorCode", "errorMessage", "additionalEventData", "resources"} <= set(names)


def test_only_the_first_character_is_lowered_at_every_depth_and_map_keys_stay():
    params = {
        "TrainingJobName": "t",
        "HyperParameters": {"Learning_Rate": "0.1", "ID": ""},
        "InputDataConfig": [{"ChannelName": "c", "DataSource": {"S3DataSource": {"S3Uri": "s3"}}}],
        "ResourceConfig": {"VolumeSizeInGB": 30, "KeepAlivePeriodInSeconds": 0},
        "EnableNetworkIsolation": False,
        "Tags": [],
    }
    made = Made("sagemaker", "CreateTrainingJob", params, {"TrainingJobArn": "arn"})
    assert made.record()["requestParameters"] == {
        "trainingJobName": "t",
        "hyperParameters": {"Learning_Rate": "0.1", "ID": ""},
        "inputDataConfig": [{"channelName": "c", "dataSource": {"s3DataSource": {"s3Uri": "s3"}}}],
        "resourceConfig": {"volumeSizeInGB": 30, "keepAlivePeriodInSeconds": 0},
        "tags": [],
        "enableNetworkIsolation": False,
    }
    assert list(made.record()["requestParameters"])[-2:] == ["tags", "enableNetworkIsolation"]


def test_devops_guru_is_as_on_the_wire_floats_and_path_members_included():
    reads = Made(
        "devops-guru",
        "GetResourceCollection",
        method="GET",
        path="/resource-collections/AWS_TAGS",
        query="NextToken=n",
    )
    assert reads.record()["requestParameters"] == {
        "ResourceCollectionType": "AWS_TAGS",
        "NextToken": "n",
    }
    search = Made(
        "devops-guru",
        "SearchInsights",
        b'{"Type":"REACTIVE","StartTimeRange":{"FromTime":1688560107.857,"ToTime":70.0}}',
        {"ReactiveInsights": []},
        path="/insights/search",
    )
    call = search.call()
    built = build(call, BuildSettings())
    assert isinstance(built, Built)
    assert (
        b'"requestParameters":{"StartTimeRange":{"FromTime":1688560107.857,"ToTime":70.0},'
        b'"Type":"REACTIVE"}' in built.data
    )
    record = record_of(call)
    assert (record["readOnly"], record["responseElements"]) == (True, None)
    assert (record["eventVersion"], record["managementEvent"]) == ("1.08", True)


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        (b"1541397961", "Nov 5, 2018 6:06:01 AM"),
        (b"1541397961.987", "Nov 5, 2018 6:06:01 AM"),
        (b"1541397961.900", "Nov 5, 2018 6:06:01 AM"),
        (b"1541376000", "Nov 5, 2018 12:00:00 AM"),
        (b"1541419200", "Nov 5, 2018 12:00:00 PM"),
        (b"1541462399", "Nov 5, 2018 11:59:59 PM"),
        (b'"2018-11-05T06:06:01Z"', "Nov 5, 2018 6:06:01 AM"),
        (b'"2018-11-05T06:06:01"', "Nov 5, 2018 6:06:01 AM"),
        (b'"2018-11-05T08:06:01+02:00"', "Nov 5, 2018 6:06:01 AM"),
        (b'"some day"', "some day"),
        (b"1e300", 1e300),
        (b"true", True),
    ],
)
def test_times_in_sagemaker_payloads_are_java_text(sent, shown):
    params = b'{"TrialComponentName":"t","StartTime":%b}' % sent
    record = Made("sagemaker", "CreateTrialComponent", params, {}).record()
    assert record["requestParameters"]["startTime"] == shown


def test_times_in_metrics_payloads_are_epoch_milliseconds():
    params = {
        "TrialComponentName": "t",
        "MetricData": [{"MetricName": "m", "Timestamp": 1670366870, "Value": 1.0}],
    }
    made = Made("sagemaker-metrics", "BatchPutMetrics", params, {}, path="/BatchPutMetrics")
    record = made.record()
    assert record["requestParameters"]["metricData"][0]["timestamp"] == 1670366870000
    assert record["eventSource"] == "metrics-sagemaker.amazonaws.com"
    assert record["resources"][0]["type"] == "AWS::SageMaker::ExperimentTrialComponent"


@pytest.mark.parametrize(
    ("service", "operation", "name"),
    [
        ("lambda", "CreateFunction", "CreateFunction20150331"),
        ("lambda", "GetFunction", "GetFunction20150331v2"),
        ("s3", "ListObjectsV2", "ListObjects"),
        ("cloudfront", "CreateDistribution", "CreateDistribution"),
        ("s3", "GetPublicAccessBlock", "GetBucketPublicAccessBlock"),
        ("sagemaker", "CreateModel", "CreateModel"),
    ],
)
def test_event_names_are_those_of_delivered_records(service, operation, name):
    assert Made(service, operation).record()["eventName"] == name


# --- readOnly --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("service", "operation", "reads"),
    [
        ("sagemaker", "DescribeFeatureGroup", True),
        ("sagemaker", "ListTags", True),
        ("sagemaker", "Search", True),
        ("sagemaker", "QueryLineage", True),
        ("sagemaker", "BatchDescribeModelPackage", True),
        ("sagemaker", "RenderUiTemplate", True),
        ("sagemaker", "CreatePresignedDomainUrl", False),
        ("sagemaker", "CreateTrainingJob", False),
        (FEATURE_STORE, "GetRecord", True),
        (FEATURE_STORE, "BatchGetRecord", True),
        (FEATURE_STORE, "PutRecord", False),
        ("sagemaker-metrics", "BatchPutMetrics", False),
        ("sagemakerjobruntime", "Sample", False),
        ("devops-guru", "SearchInsights", True),
        ("devops-guru", "StartCostEstimation", False),
        ("personalize", "GetSolutionMetrics", True),
        ("kms", "Decrypt", True),
        ("kms", "GenerateDataKey", True),
        ("kms", "CreateKey", False),
        ("sts", "AssumeRole", True),
        ("sts", "GetSessionToken", False),
        ("sts", "GetFederationToken", False),
        ("sts", "GetCallerIdentity", True),
        ("sagemaker", "GetawayCar", False),
        ("sagemaker", "GetNobodyKnows", True),
    ],
)
def test_read_only_by_table_then_trait_then_name(service, operation, reads):
    assert Made(service, operation).record()["readOnly"] is reads


# --- responseElements ------------------------------------------------------------------------


def test_the_response_of_a_write_is_recorded_in_the_same_spelling():
    assert create_endpoint().record()["responseElements"] == {"endpointArn": ENDPOINT_ARN}


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (Made("sagemaker", "DescribeEndpoint", {"EndpointName": "E"}, {"A": 1}), "a read"),
        (Made("sagemaker", "DeleteEndpoint", {"EndpointName": "E"}, {"A": 1}), "no output"),
        (Made("sagemaker", "CreateEndpoint", {}, b"not json"), "cannot be parsed"),
        (Made("sagemaker", "CreateEndpoint", {}, b"\xff"), "not even text"),
        (Made("sagemaker", "CreateEndpoint", {}, {"Unheard": 1}), "nothing in the model"),
        (Made("sagemaker", "CreateEndpoint", {}, {}, 400), "an error"),
        (create_endpoint(outcome=Outcome.UNKNOWN), "nobody knows"),
    ],
)
def test_response_elements_are_null(made, why):
    record = made.record()
    assert record["responseElements"] is None, why


@pytest.mark.parametrize(
    ("service", "operation", "needed"),
    [
        ("sagemaker", "CreateEndpoint", True),
        ("sagemaker", "DescribeEndpoint", False),
        ("sagemaker", "DeleteEndpoint", False),
        ("sagemaker-runtime", "InvokeEndpoint", False),
        ("sagemaker-runtime", "InvokeEndpointWithResponseStream", False),
        (FEATURE_STORE, "PutRecord", False),
        ("personalize-events", "PutEvents", False),
        ("sts", "AssumeRole", True),
        ("s3", "GetObject", False),
        ("sagemaker", "NobodyKnows", False),
    ],
)
def test_the_gateway_is_told_which_answers_the_record_needs(service, operation, needed):
    assert response_recorded(Made(service, operation).call().target, BuildSettings()) is needed


def test_profile_2023_needs_no_answer_of_what_it_does_not_record():
    target = Target("sagemaker-runtime", "sagemaker.amazonaws.com", "InvokeEndpointAsync", "")
    assert response_recorded(target, BuildSettings())
    assert not response_recorded(target, BuildSettings(service_profile="2023"))


def test_assume_role_is_a_read_with_a_response_and_no_secrets():
    answer = (
        b'<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>'
        b"<AssumedRoleUser><AssumedRoleId>AROA1:me</AssumedRoleId><Arn>arn:aws:sts::1:me</Arn>"
        b"</AssumedRoleUser><Credentials><AccessKeyId>ASIA1</AccessKeyId>"
        b"<SecretAccessKey>SECRETKEY</SecretAccessKey><SessionToken>TOKEN</SessionToken>"
        b"<Expiration>2025-10-26T23:50:52Z</Expiration></Credentials></AssumeRoleResult>"
        b"<ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></AssumeRoleResponse>"
    )
    form = b"Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1&RoleSessionName=me"
    record = Made("sts", "AssumeRole", form, answer).record()
    assert record["readOnly"] is True
    assert record["requestParameters"] == {"roleArn": "arn:aws:iam::1", "roleSessionName": "me"}
    assert record["responseElements"] == {
        "credentials": {
            "accessKeyId": "ASIA1",
            "sessionToken": "HIDDEN_DUE_TO_SECURITY_REASONS",
            "expiration": "Oct 26, 2025, 11:50:52 PM",
        },
        "assumedRoleUser": {"assumedRoleId": "AROA1:me", "arn": "arn:aws:sts::1:me"},
    }


# --- requestParameters: null rules -----------------------------------------------------------


@pytest.mark.parametrize(
    "sent", [None, {}, b"", b"{", b"[]", b'"text"', b"\xff\xfe", b"null", {"Unheard": 1}]
)
def test_request_parameters_are_null_and_never_empty(sent):
    assert Made("sagemaker", "ListModels", sent).record()["requestParameters"] is None


def test_null_members_are_unset_and_empty_ones_kept():
    params: object = {
        "DomainName": "",
        "AuthMode": None,
        "SubnetIds": [],
        "DefaultUserSettings": {},
    }
    assert Made("sagemaker", "CreateDomain", params, {}).record()["requestParameters"] == {
        "domainName": "",
        "defaultUserSettings": {},
        "subnetIds": [],
    }


def test_a_gzipped_request_is_read():
    made = create_endpoint()
    call = made.call()
    call.head = RequestHead("POST", "/", "", {"content-encoding": "gzip"})
    call.request = body(gzip.compress(call.request.data))
    assert record_of(call)["requestParameters"]["endpointName"] == "E"
    call.request = body(b"not gzip")
    assert record_of(call)["requestParameters"] is None


@pytest.mark.parametrize("operation", ["NobodyKnows", ""])
def test_an_unknown_operation_is_recorded_with_what_is_known(operation):
    call = create_endpoint().call()
    target = Target("sagemaker", "sagemaker.amazonaws.com", operation, "json", known=False)
    call = msgspec.structs.replace(call, target=target, status=404, response=body(b"<html>"))
    record = record_of(call)
    assert record["eventName"] == (operation or "UnknownOperation")
    assert record["eventSource"] == "sagemaker.amazonaws.com"
    assert (record["requestParameters"], record["responseElements"]) == (None, None)
    assert record["errorCode"] == "UnknownOperationException"


def test_an_unknown_service_is_recorded_too():
    call = msgspec.structs.replace(create_endpoint().call(), target=Target("", "", "", ""))
    record = record_of(call)
    assert (record["eventSource"], record["eventName"]) == (
        "unknown.amazonaws.com",
        "UnknownOperation",
    )
    assert record["eventCategory"] == "Management"


# --- errors, outcomes, marks -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "status", "code", "message"),
    [
        ({"__type": "ResourceInUse", "message": "taken"}, 400, "ResourceInUse", "taken"),
        (
            {"__type": "com.amazon#ValidationException", "Message": "bad"},
            400,
            "ValidationException",
            "bad",
        ),
        ({"__type": "AccessDeniedException", "message": "no"}, 400, "AccessDenied", "no"),
        ({"__type": "ThrottlingException"}, 400, "ThrottlingException", None),
    ],
)
def test_errors_have_code_and_message(answer, status, code, message):
    record = Made("sagemaker", "CreateModel", {"ModelName": "m"}, answer, status).record()
    assert record["errorCode"] == code
    assert record.get("errorMessage") == message
    assert record["requestParameters"] == {"modelName": "m"}
    assert record["responseElements"] is None


def test_a_page_of_html_is_no_error_of_aws():
    record = Made("sagemaker", "CreateModel", {}, b"<html>oops</html>", 500).record()
    assert record["errorCode"] == "InternalFailure"
    assert "oops" not in record["errorMessage"]


@pytest.mark.parametrize(("status", "code"), [(400, "Client.Denied"), (500, "Server.Denied")])
def test_ec2_says_who_was_wrong(status, code):
    answer = b"<Response><Errors><Error><Code>Denied</Code></Error></Errors></Response>"
    assert Made("ec2", "RunInstances", None, answer, status).record()["errorCode"] == code


@pytest.mark.parametrize("outcome", [Outcome.UNREACHABLE, Outcome.REFUSED])
def test_what_opentrail_answered_is_the_records_error(outcome):
    record = create_endpoint(
        outcome=outcome, status=0, error_code="ServiceUnavailable", error_message="no upstream"
    ).record()
    assert (record["errorCode"], record["errorMessage"]) == ("ServiceUnavailable", "no upstream")
    assert record["responseElements"] is None
    assert "additionalEventData" not in record


def test_an_unknown_outcome_says_so():
    record = create_endpoint(outcome=Outcome.UNKNOWN, status=0, additional={"why": "timeout"})
    shown = record.record()
    assert shown["additionalEventData"] == {"why": "timeout", "outcome": "unknown"}
    assert shown["requestParameters"] == {"endpointName": "E", "endpointConfigName": "C"}
    assert "errorCode" not in shown


def test_after_a_crash_the_record_has_no_parameters_and_outcome_unknown():
    built = build_unknown(create_endpoint().call(), BuildSettings())
    assert isinstance(built, Built)
    record = json.loads(built.data)
    assert (record["requestParameters"], record["responseElements"]) == (None, None)
    assert record["additionalEventData"] == {"outcome": "unknown"}
    assert (record["eventID"], record["eventName"]) == (EVENT_ID, "CreateEndpoint")
    assert "errorCode" not in record


def test_a_data_event_after_a_crash_still_says_its_type():
    built = build_unknown(INVOKE.call(), BuildSettings())
    assert isinstance(built, Built)
    assert json.loads(built.data)["resources"] == [
        {"accountId": ACCOUNT, "type": "AWS::SageMaker::Endpoint"}
    ]


def test_what_was_not_verified_says_so():
    claim = {"claimedRegion": "mars-1"}
    record = create_endpoint(caller=caller(verified=False, additional=claim)).record()
    assert record["additionalEventData"] == {"claimedRegion": "mars-1", "identityVerified": False}
    assert "additionalEventData" not in create_endpoint().record()


@pytest.mark.parametrize(
    ("headers", "own", "shown"),
    [
        ({"x-amzn-requestid": "a", "x-amz-request-id": "b"}, "own", "a"),
        ({"x-amz-request-id": "b"}, "own", "b"),
        ({}, "own", "own"),
        ({}, "", None),
    ],
)
def test_request_ids(headers, own, shown):
    record = create_endpoint(response_headers=headers, request_id=own).record()
    assert record.get("requestID") == shown


def test_the_gap_event_is_our_own_service_event():
    gap = Gap("power-loss", FINISHED_MS - 60_000, FINISHED_MS, calls=3)
    record = json.loads(gap_event(gap, EVENT_ID, ACCOUNT, REGION, FINISHED_MS))
    assert list(record) == [name for name in FIELD_ORDER if name in record]
    assert record["eventType"] == "AwsServiceEvent"
    assert (record["eventSource"], record["eventName"]) == (
        "cloudtrail.amazonaws.com",
        "RecordingGap",
    )
    assert record["serviceEventDetails"] == {
        "reason": "power-loss",
        "from": "2023-01-01T00:59:00Z",
        "to": "2023-01-01T01:00:00Z",
        "calls": 3,
    }
    assert (record["eventID"], record["eventCategory"]) == (EVENT_ID, "Management")


def test_a_gap_of_unknown_size_names_no_number():
    record = gap_event(Gap("power-loss", 0, 1000), EVENT_ID, ACCOUNT, REGION, 1000)
    assert "calls" not in json.loads(record)["serviceEventDetails"]


# --- the service table -----------------------------------------------------------------------


def test_no_service_says_a_version_older_than_the_fields_of_its_records():
    for service, rules in SERVICES.items():
        major, minor = map(int, rules.event_version.split("."))
        assert (major, minor) >= (1, 8), service
