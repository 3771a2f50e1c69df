# SPDX-License-Identifier: Apache-2.0
import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import aws_requests
from support.calls import Made, body, called, caller, event_source
from support.secret_values import FAMILIES, SECRET, Filled, all_operations, sent

from opentrail.aws.model import operation
from opentrail.aws.request import Target
from opentrail.capture.build import BuildSettings, Built, build
from opentrail.capture.call import Body, Call, Outcome
from opentrail.capture.elements import Compiler, Style
from opentrail.capture.rules import Casing, Times

HIDDEN = "HIDDEN_DUE_TO_SECURITY_REASONS"
WITHOUT_SECRETS = {"devops-guru", "sagemaker-a2i-runtime", "sagemaker-edge", "sagemaker-metrics"}
EVERYTHING = BuildSettings(record_unlogged=True)


def call_of(service: str, name: str, fill: Filled) -> Call:
    model = aws_requests.service_model(service)
    operation = model.operation_model(name)
    head, request = sent(operation, fill.params(operation))
    protocol = str(model.metadata["protocol"])
    return Call(
        event_id="e",
        target=Target(service, event_source(service), name, protocol),
        head=head,
        caller=caller(),
        source_ip="192.0.2.0",
        user_agent="agent",
        finished_ms=0,
        outcome=Outcome.ANSWERED,
        request=body(request),
        status=200,
        response=body(fill.answer(operation)),
    )


def recorded(call: Call) -> bytes:
    built = build(call, EVERYTHING)
    assert isinstance(built, Built)
    json.loads(built.data)
    return built.data


@pytest.mark.parametrize("service", FAMILIES)
def test_no_secret_of_any_operation_is_in_its_record(service):
    fill = Filled(random.Random(1), full=True)
    seen = shown = 0
    for _, name in (pair for pair in all_operations() if pair[0] == service):
        call = call_of(service, name, fill)
        assert SECRET.encode() not in recorded(call), name
        seen += SECRET.encode() in call.request.data + call.response.data
        shown += json.loads(recorded(call))["requestParameters"] is not None
    assert seen or service in WITHOUT_SECRETS
    assert shown or service == "sagemaker-runtime"  # whose requests are never shown


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(all_operations()),
    st.randoms(use_true_random=False),
    st.sampled_from(["whole", "cut", "half kept", "spoilt"]),
    st.sampled_from([200, 400, 500]),
)
def test_no_secret_is_recorded_whatever_arrives(which, rng, damage, status):
    service, name = which
    call = call_of(service, name, Filled(rng, full=False))
    call.status = status
    data = call.request.data
    at = rng.randrange(len(data) + 1)
    if damage == "cut":
        call.request = body(data[:at])
    elif damage == "half kept":
        call.request = Body(data[:at], len(data) + 1)
    elif damage == "spoilt":
        call.request = body(data[:at] + b"\xff\x00" + data[at:])
    assert SECRET.encode() not in recorded(call)


@pytest.mark.parametrize("wrong", [SECRET, [SECRET], {"ClientSecret": [SECRET]}, {SECRET: SECRET}])
@pytest.mark.parametrize("member", ["OidcConfig", "CognitoConfig", "WorkforceName"])
def test_a_value_of_another_shape_cannot_smuggle_a_secret(member, wrong):
    if (member, wrong) == ("WorkforceName", SECRET):
        return  # a name is a name
    made = Made("sagemaker", "CreateWorkforce", {member: wrong, "Other": SECRET}, {})
    assert SECRET.encode() not in recorded(made.call())


def test_sensitive_values_are_replaced_whatever_their_type():
    made = Made(
        "personalize",
        "CreateFilter",
        {
            "name": "f",
            "filterExpression": "INCLUDE ItemID WHERE x IN ('private')",
            "tags": [{"tagKey": "k", "tagValue": "v"}],
        },
        {"filterArn": "arn"},
    )
    assert made.record()["requestParameters"] == {
        "name": "f",
        "filterExpression": HIDDEN,
        "tags": [{"tagKey": HIDDEN, "tagValue": HIDDEN}],
    }


def test_sensitive_map_values_are_replaced_and_their_keys_kept():
    made = Made(
        "personalize-runtime",
        "GetRecommendations",
        {"campaignArn": "a", "context": {"DEVICE": "phone"}},
        path="/recommendations",
    )
    record = made.record(EVERYTHING)
    assert record["requestParameters"] == {"campaignArn": "a", "context": {"DEVICE": HIDDEN}}


def test_sensitive_list_elements_are_replaced_one_by_one():
    made = Made("personalize", "UntagResource", {"resourceArn": "a", "tagKeys": ["x", "y"]}, {})
    record = made.record()
    assert record["requestParameters"] == {"resourceArn": "a", "tagKeys": [HIDDEN, HIDDEN]}


@pytest.mark.parametrize(
    ("operation", "answer", "shown"),
    [
        ("CreatePresignedDomainUrl", {"AuthorizedUrl": "https://x"}, {"authorizedUrl": HIDDEN}),
        ("CreatePartnerAppPresignedUrl", {"Url": "https://x"}, {"url": HIDDEN}),
        (
            "CreateHubContentPresignedUrls",
            {"AuthorizedUrlConfigs": [{"Url": "https://x", "LocalPath": "p"}]},
            {"authorizedUrlConfigs": [{"url": HIDDEN, "localPath": "p"}]},
        ),
        (
            "StartSession",
            {"SessionId": "s", "StreamUrl": "wss://x", "TokenValue": "t"},
            {"sessionId": "s", "streamUrl": HIDDEN, "tokenValue": HIDDEN},
        ),
        ("CreateDomain", {"Url": "https://d-1.studio"}, {"url": "https://d-1.studio"}),
    ],
)
def test_links_that_let_in_whoever_has_them_are_hidden(operation, answer, shown):
    assert Made("sagemaker", operation, {}, answer).record()["responseElements"] == shown


@pytest.mark.parametrize(
    ("service", "operation", "params", "answer"),
    [
        ("apigateway", "CreateApiKey", {"name": "n", "value": SECRET}, {"value": SECRET}),
        ("amplify", "CreateWebhook", {"appId": "a"}, {"webhook": {"webhookUrl": SECRET}}),
        ("appstream", "CreateStreamingURL", {"StackName": "s"}, {"StreamingURL": SECRET}),
        ("appsync", "CreateApiKey", {"apiId": "a"}, {"apiKey": {"id": SECRET}}),
        ("appsync", "DeleteApiKey", {"apiId": "a", "id": SECRET}, {}),
        ("autoscaling", "CreateLaunchConfiguration", {"UserData": SECRET}, b""),
        (
            "cloudformation",
            "CreateStack",
            {"StackName": "s", "Parameters": [{"ParameterKey": "k", "ParameterValue": SECRET}]},
            b"",
        ),
        ("codebuild", "CreateWebhook", {"projectName": "p"}, {"webhook": {"secret": SECRET}}),
        ("cognito-idp", "ConfirmSignUp", {"ClientId": "c", "ConfirmationCode": SECRET}, {}),
        (
            "cognito-idp",
            "CreateIdentityProvider",
            {"ProviderName": "p", "ProviderDetails": {"client_secret": SECRET}},
            {"IdentityProvider": {"ProviderDetails": {"client_secret": SECRET}}},
        ),
        ("directconnect", "AssociateMacSecKey", {"connectionId": "c", "cak": SECRET}, {}),
        ("directconnect", "CreateBGPPeer", {"newBGPPeer": {"authKey": SECRET}}, {}),
        ("elasticache", "CreateUser", {"UserId": "u", "Passwords": [SECRET]}, b""),
        (
            "glue",
            "CreateConnection",
            {"ConnectionInput": {"ConnectionProperties": {"PASSWORD": SECRET, "PORT": "1"}}},
            {},
        ),
        ("iot", "TestInvokeAuthorizer", {"authorizerName": "a", "token": SECRET}, {}),
        ("kendra", "Query", {"IndexId": "i", "UserContext": {"Token": SECRET}}, {}),
        ("lakeformation", "AssumeDecoratedRoleWithSAML", {"SAMLAssertion": SECRET}, {}),
        ("license-manager", "CreateToken", {"LicenseArn": "a"}, {"Token": SECRET}),
        ("lightsail", "CreateInstances", {"blueprintId": "b", "userData": SECRET}, {}),
        (
            "mq",
            "CreateUser",
            {"BrokerId": "b", "Username": "u", "Password": SECRET},
            {},
        ),
        (
            "mq",
            "UpdateBroker",
            {"BrokerId": "b", "LdapServerMetadata": {"ServiceAccountPassword": SECRET}},
            {},
        ),
        (
            "pinpoint",
            "UpdateGcmChannel",
            {"ApplicationId": "a", "GCMChannelRequest": {"ServiceJson": SECRET}},
            {},
        ),
        ("redshift", "CreateHsmConfiguration", {"HsmPartitionPassword": SECRET}, b""),
        ("s3", "DeleteObject", {"Bucket": "b", "Key": "k", "MFA": SECRET}, b""),
        (
            "s3control",
            "PutBucketVersioning",
            {"AccountId": "a", "Bucket": "b", "MFA": SECRET, "VersioningConfiguration": {}},
            b"",
        ),
        (
            "sns",
            "CreatePlatformApplication",
            {"Name": "n", "Attributes": {"PlatformCredential": SECRET}},
            b"",
        ),
        ("sso-oidc", "CreateToken", {"grantType": "g", "code": SECRET, "deviceCode": SECRET}, {}),
        ("ssm", "CreateActivation", {"IamRole": "r"}, {"ActivationCode": SECRET}),
        ("sts", "AssumeRole", {"ProvidedContexts": [{"ContextAssertion": SECRET}]}, b""),
        ("workmail", "AssumeImpersonationRole", {"OrganizationId": "o"}, {"Token": SECRET}),
    ],
)
def test_secrets_that_models_do_not_mark_are_hidden(service, operation, params, answer):
    data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    record = called(service, operation, params, data)
    assert SECRET not in json.dumps(record)
    kept = [name for name, value in params.items() if value != SECRET]
    assert len(record["requestParameters"] or ()) >= len(kept)


def test_of_a_stacks_parameters_and_a_maps_secrets_the_names_are_shown():
    params = {"Parameters": [{"ParameterKey": "k", "ParameterValue": SECRET}]}
    record = called("cloudformation", "UpdateStack", params)
    assert record["requestParameters"] == {"parameters": [{"parameterKey": "k"}]}
    details = {"client_id": "c", "client_secret": SECRET}
    record = called("cognito-idp", "UpdateIdentityProvider", {"ProviderDetails": details})
    shown = {"client_id": "c", "client_secret": HIDDEN}
    assert record["requestParameters"] == {"providerDetails": shown}


def test_blobs_and_lone_credentials_leave_no_trace():
    made = Made("kms", "Encrypt", {"KeyId": "k", "Plaintext": "c2VjcmV0"}, {})
    assert made.record()["requestParameters"] == {"keyId": "k"}
    answer = (
        b"<CreateAccessKeyResponse><CreateAccessKeyResult><AccessKey><UserName>u</UserName>"
        b"<AccessKeyId>AKIA1</AccessKeyId><SecretAccessKey>S3CRET</SecretAccessKey>"
        b"</AccessKey></CreateAccessKeyResult></CreateAccessKeyResponse>"
    )
    record = Made("iam", "CreateAccessKey", b"", answer, protocol="query").record()
    assert record["responseElements"] == {"accessKey": {"userName": "u", "accessKeyId": "AKIA1"}}


def test_a_shape_that_contains_itself_is_written_to_any_depth():
    inner = {"Filters": [{"Name": "TrainingJobName", "Value": "x"}]}
    expression = {"SubExpressions": [{"SubExpressions": [inner]}]}
    record = Made("sagemaker", "Search", {"SearchExpression": expression}).record()
    lowered = {"filters": [{"name": "TrainingJobName", "value": "x"}]}
    assert record["requestParameters"] == {
        "searchExpression": {"subExpressions": [{"subExpressions": [lowered]}]}
    }


def test_writers_leave_out_what_is_not_of_their_shape():
    model = operation(Made("sagemaker", "CreateTrainingJob").call().target)
    assert model is not None
    assert model.input is not None
    style = Style(Casing.LOWER_FIRST, Times.JAVA, drop=frozenset({"Tags"}))
    write = Compiler(style).top(model.input, None)
    wrong = {
        "TrainingJobName": ["a"],
        "HyperParameters": [1],
        "InputDataConfig": {"a": 1},
        "Tags": [],
        "RoleArn": "r",
    }
    assert write(wrong) == {"roleArn": "r"}
    partly = {"HyperParameters": {"a": {}, "b": None, "c": "1"}, "InputDataConfig": ["x", None]}
    assert write(partly) == {
        "hyperParameters": {"b": None, "c": "1"},
        "inputDataConfig": [None],
    }


def test_letters_are_hidden_as_delivered_records_have_them():
    parts = {"Subject": {"Data": SECRET}, "Body": {"Text": {"Data": SECRET}}}
    sent = {"Source": "a@example.com", "Message": parts}
    head, request = aws_requests.request(
        aws_requests.service_model("ses").operation_model("SendEmail"),
        {**sent, "Destination": {"ToAddresses": ["b@example.com"]}},
        "query",
        authorization=aws_requests.scope("ses"),
    )
    headers = dict(head.headers)
    built = build(
        Made("ses", "SendEmail", request, headers=headers, protocol="query").call(), EVERYTHING
    )
    assert isinstance(built, Built)
    assert json.loads(built.data)["requestParameters"] == {
        "source": "a@example.com",
        "destination": {"toAddresses": HIDDEN},
        "message": HIDDEN,
    }


@pytest.mark.parametrize(
    ("service", "name", "member", "shown"),
    [
        ("polly", "SynthesizeSpeech", "Text", "*" * 10),
        ("athena", "StartQueryExecution", "QueryString", "***OMITTED***"),
        ("translate", "TranslateText", "Text", HIDDEN),
        ("comprehend", "DetectPiiEntities", "Text", HIDDEN),
        ("comprehendmedical", "InferICD10CM", "Text", HIDDEN),
        ("connectparticipant", "SendMessage", "Content", HIDDEN),
    ],
)
def test_texts_are_their_owners(service, name, member, shown):
    answer = {"TranslatedText": SECRET, "Entities": [{"Text": SECRET}]}
    record = Made(service, name, {member: SECRET}, answer).record()
    assert record["requestParameters"] == {member[0].lower() + member[1:]: shown}
    assert SECRET not in json.dumps(record)
