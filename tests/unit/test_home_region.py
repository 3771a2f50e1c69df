# SPDX-License-Identifier: Apache-2.0
import json
from pathlib import Path

import botocore
import pytest
from support.calls import Made, caller

from opentrail.aws import tables
from opentrail.aws.catalog import event_source
from opentrail.capture.build import BuildSettings
from opentrail.capture.home_region import HOMES, home_region

ENDPOINTS = Path(botocore.__file__).parent / "data" / "endpoints.json"


def recorded(service, operation, region, *accepted):
    made = Made(service, operation, more={"caller": caller(region=region)})
    return made.record(BuildSettings(regions=frozenset(accepted)))["awsRegion"]


@pytest.mark.parametrize(
    ("service", "operation", "region", "home"),
    [
        ("iam", "CreateUser", "us-east-1", "us-east-1"),
        ("iam", "CreateUser", "eu-central-1", "us-east-1"),
        ("organizations", "ListAccounts", "ap-southeast-2", "us-east-1"),
        ("route53", "ListHostedZones", "cn-north-1", "cn-northwest-1"),
        ("iam", "ListUsers", "cn-northwest-1", "cn-north-1"),
        ("iam", "ListUsers", "us-gov-east-1", "us-gov-west-1"),
        ("networkmanager", "ListAttachments", "eu-west-1", "us-west-2"),
        # European Sovereign Cloud: botocore names none.
        ("iam", "ListUsers", "eusc-de-east-1", "eusc-de-east-1"),
        ("iam", "ListUsers", "house-1", "house-1"),
        ("iam", "ListUsers", "local", "local"),
        # They have endpoints in every region.
        ("sts", "GetCallerIdentity", "eu-central-1", "eu-central-1"),
        ("sagemaker", "ListModels", "eu-central-1", "eu-central-1"),
        ("s3", "ListBuckets", "eu-central-1", "eu-central-1"),
    ],
)
def test_global_services_events_are_of_their_home(service, operation, region, home):
    assert recorded(service, operation, region) == home


def test_not_of_a_region_that_nobody_can_look_into():
    assert recorded("iam", "ListUsers", "eu-west-1", "eu-west-1", "eu-west-2") == "eu-west-1"
    assert recorded("iam", "ListUsers", "eu-west-1", "eu-west-1", "us-east-1") == "us-east-1"


def test_the_table_is_botocores():
    known = {event_source(row) for row in tables.services().values()}
    for partition in json.loads(ENDPOINTS.read_bytes())["partitions"]:
        for service, row in partition["services"].items():
            only = row["endpoints"].get(row.get("partitionEndpoint", ""), {})
            home = only.get("credentialScope", {}).get("region")
            source = f"{service}.amazonaws.com"
            if row.get("isRegionalized", True) or home is None or source not in known:
                continue
            assert HOMES[source][partition["partition"]] == home, (source, partition["partition"])
    assert set(HOMES) <= known


def test_homes_of_other_partitions_do_not_count():
    assert home_region({"aws": "us-east-1"}, "cn-north-1", frozenset()) == "cn-north-1"
