# SPDX-License-Identifier: Apache-2.0
"""Delivered records beside what we would write: every kind of difference is found and counted."""

import gzip
import json
import random

import pytest
from support import aws_requests
from support.sensitive_calls import calls
from support.server import run

from opentrail.capture.build import BuildSettings, Built, build
from opentrail.capture.compare import Figures, Miss, plans_of

EC2 = "ec2.amazonaws.com"
RECORD = {
    "eventType": "AwsApiCall",
    "eventSource": "sagemaker.amazonaws.com",
    "eventName": "CreateModel",
    "readOnly": False,
    "requestParameters": {"modelName": "m", "tags": [{"key": "k", "value": "v"}]},
    "responseElements": {"modelArn": "a"},
}


def figures_of(**changes: object) -> Figures:
    figures = Figures()
    figures.add({**RECORD, **changes})
    return figures


def test_what_s3_express_signs_is_known_by_that_name():
    figures = figures_of(
        eventSource="s3express.amazonaws.com",
        eventName="ListDirectoryBuckets",
        readOnly=True,
        requestParameters={"Host": "s3express-control.eu-west-1.amazonaws.com"},
        responseElements=None,
    )
    assert (figures.known, figures.read_only_right, figures.misses) == (1, 1, {})
    assert plans_of("s3express.amazonaws.com", "DescribeInstances") == ()


def test_a_record_as_ours_has_no_miss():
    figures = figures_of()
    assert (figures.known, figures.records, figures.misses) == (1, 1, {})
    assert (figures.read_only_right, figures.read_only) == (1, 1)
    assert (figures.keys_right, figures.keys, figures.keys_foreign) == (5, 5, 0)


@pytest.mark.parametrize(
    ("changes", "miss"),
    [
        (
            {"requestParameters": {"ModelName": "m"}},
            Miss("key", "", "", "requestParameters.ModelName", "modelName"),
        ),
        (
            {"requestParameters": {"primaryContainer": {"Image": "i"}}},
            Miss("key", "", "", "requestParameters.primaryContainer.Image", "image"),
        ),
        (
            {"requestParameters": {"disableEFA": False}},
            Miss("not in model", "", "", "requestParameters.disableEFA"),
        ),
        ({"readOnly": True}, Miss("readOnly", "", "", "true")),
        ({"eventName": "CreateDream"}, Miss("operation", "", "", "not in the models")),
    ],
)
def test_each_difference_is_named(changes, miss):
    (found,) = figures_of(**changes).misses
    assert found._replace(event_source="", event_name="") == miss


@pytest.mark.parametrize(
    ("name", "sent", "answer", "right", "wrong"),
    [
        ("DescribeVpcs", {"vpcSet": {"items": [{"vpcId": "v"}]}, "filterSet": {}}, None, 4, []),
        ("DescribeVpcs", {"vpcSet": {"item": [{"vpcId": "v"}]}}, None, 1, ["vpcSet.item"]),
        ("DescribeHosts", {"DescribeHostsRequest": {"MaxResults": 5}}, None, 2, []),
        ("DescribeHosts", {"DescribeHosts": {"MaxResults": 5}}, None, 1, ["DescribeHosts"]),
        (
            "DescribeNatGateways",
            {"DescribeNatGatewaysRequest": {"NatGatewayId": {"content": "n", "tag": 1}}},
            None,
            4,
            [],
        ),
        ("DeleteVpc", {"vpcId": "v"}, {"requestId": "r", "_return": True}, 3, []),
        (
            "CreateFlowLogs",
            {"CreateFlowLogsRequest": {}},
            {"CreateFlowLogsResponse": {"xmlns": "x", "flowLogIdSet": {"item": "f"}}},
            5,
            [],
        ),
    ],
)
def test_the_keys_around_lists_count_too(name, sent, answer, right, wrong):
    figures = figures_of(
        eventSource=EC2,
        eventName=name,
        readOnly=None,
        requestParameters=sent,
        responseElements=answer,
    )
    assert figures.keys_right == right
    assert [miss.what for miss in figures.misses] == [f"requestParameters.{path}" for path in wrong]


@pytest.mark.parametrize("key", ["eventType", "eventSource", "eventName"])
def test_what_is_no_api_call_is_passed_over(key):
    assert figures_of(**{key: 7}).records == 0


def test_omitted_and_odd_elements_have_no_keys():
    omitted = {"reason": "requestParameters too large", "omitted": True, "originalSize": 1}
    assert figures_of(requestParameters=omitted, responseElements="text").keys == 0


@pytest.mark.parametrize(
    ("source", "shown", "operation"),
    [
        ("lambda.amazonaws.com", "GetFunction20150331v2", "GetFunction"),
        ("lambda.amazonaws.com", "GetFunction20990101", "GetFunction"),
        ("cloudfront.amazonaws.com", "CreateDistribution2020_05_31", "CreateDistribution"),
        ("s3.amazonaws.com", "GetBucketLifecycle", "GetBucketLifecycle"),
        ("s3.amazonaws.com", "GetAccountPublicAccessBlock", "GetPublicAccessBlock"),
    ],
)
def test_records_are_found_under_their_own_names(source, shown, operation):
    found = {how.operation.name for how in plans_of(source, shown) if how.operation}
    assert operation in found


@pytest.mark.parametrize("service", ["dynamodb", "ec2", "kms", "rds", "s3", "s3control"])
def test_what_we_write_is_what_we_expect(service):
    """Sets, envelopes, headers and request ids are added where the comparison looks for them."""
    rng, figures = random.Random(3), Figures()
    for operation in list(aws_requests.operations(aws_requests.load_model(service)))[::4]:
        call = next(calls(operation, rng))
        built = build(call, BuildSettings())
        assert isinstance(built, Built)
        figures.add(json.loads(built.data))
    assert figures.known == figures.records > 10
    assert figures.misses == {}


def test_the_command_prints_figures_and_misses(tmp_path):
    wrong = {**RECORD, "requestParameters": {"ModelName": "\x1b[31mm"}}
    file = tmp_path / "records.json.gz"
    file.write_bytes(gzip.compress(json.dumps({"Records": [RECORD, wrong]}).encode()))
    done = run("compare", str(tmp_path), home=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "readOnly          100.00 %  2 of 2" in done.stdout
    assert "names of members   85.71 %  6 of 7" in done.stdout
    assert "requestParameters.ModelName, expected modelName" in done.stdout
    document = json.loads(run("compare", str(file), "--json", home=tmp_path).stdout)
    assert document["figures"]["names of members"] == {"right": 6, "of": 7}
    assert [miss["count"] for miss in document["misses"]] == [1]


def test_nothing_to_compare_is_exit_code_1(tmp_path):
    (tmp_path / "empty.json").write_text('{"Records": []}')
    assert run("compare", str(tmp_path), home=tmp_path).returncode == 1
    assert run("compare", str(tmp_path / "absent"), home=tmp_path).returncode == 2
