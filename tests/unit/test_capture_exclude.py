# SPDX-License-Identifier: Apache-2.0
"""Which calls an exclusion takes: all that it says must hold, and CloudTrail's own are never taken."""

from ipaddress import ip_network

import pytest
from support.calls import Made

from opentrail.aws.request import RequestHead, Target
from opentrail.capture.exclude import Exclusion, excluded_by

LIST_MODELS = Made("sagemaker", "ListModels").call()
CREATE_MODEL = Made("sagemaker", "CreateModel").call()


@pytest.mark.parametrize(
    ("rule", "takes_list", "takes_create"),
    [
        ({"event_source": "sagemaker.amazonaws.com"}, True, True),
        ({"event_source": "sagemaker"}, False, False),
        ({"event_names": ["List*"]}, True, False),
        ({"event_names": ["CreateModel", "ListModels"]}, True, True),
        ({"event_names": ["Create"]}, False, False),
        ({"event_source": "sagemaker.amazonaws.com", "read_only": True}, True, False),
        ({"user_agent": "Boto3/"}, True, True),
        ({"user_agent": "ELB-HealthChecker/"}, False, False),
        ({"paths": ["/"]}, True, True),
        ({"paths": ["/health*"]}, False, False),
        ({"source_networks": [ip_network("192.0.2.0/24")]}, True, True),
        ({"source_networks": [ip_network("10.0.0.0/8"), ip_network("::/0")]}, False, False),
        ({"event_names": ["List*"], "user_agent": "curl"}, False, False),
    ],
)
def test_all_that_a_rule_says_must_hold(rule, takes_list, takes_create):
    rules = [Exclusion("named", **rule)]
    assert excluded_by(rules, LIST_MODELS) == ("named" if takes_list else "")
    assert excluded_by(rules, CREATE_MODEL) == ("named" if takes_create else "")


def test_the_first_rule_that_takes_a_call_names_it():
    rules = [Exclusion("a", paths=["/x"]), Exclusion("b", paths=["/"]), Exclusion("c", paths=["*"])]
    assert excluded_by(rules, LIST_MODELS) == "b"
    assert excluded_by([], LIST_MODELS) == ""


def test_cloudtrails_own_calls_are_never_taken():
    call = Made("cloudtrail", "LookupEvents").call()
    assert excluded_by([Exclusion("all", paths=["*"])], call) == ""


def test_a_call_of_no_service_is_taken_by_its_path():
    call = Made("", "").call()
    call.target = Target("", "", "", "")
    call.head = RequestHead("GET", "/healthz", "", {})
    assert excluded_by([Exclusion("health", paths=["/health*"])], call) == "health"


@pytest.mark.parametrize(
    "path",
    [
        "/health/../b/k",
        "/health/%2E%2e/b/k",
        "/health//b",
        "/health/..",
        "/health%2fb",
        "/health\\..\\b",
    ],
)
def test_a_path_that_may_mean_another_is_recorded(path):
    call = Made("s3", "GetObject").call()
    call.head = RequestHead("GET", path, "", {})
    assert excluded_by([Exclusion("health", paths=["/health*"])], call) == ""


def test_what_is_no_address_is_in_no_network():
    call = Made("sagemaker", "ListModels", more={"source_ip": "AWS Internal"}).call()
    assert excluded_by([Exclusion("n", source_networks=[ip_network("0.0.0.0/0")])], call) == ""
