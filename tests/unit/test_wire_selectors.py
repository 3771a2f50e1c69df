# SPDX-License-Identifier: Apache-2.0
"""PutEventSelectors and GetEventSelectors as boto3 sees them."""

from typing import Any

import pytest
from support.aws_clients import client
from support.trail_calls import ARN, create, plain, refused
from support.trail_rooms import TrailRooms
from support.wire_server import ADMIN, SmallHistory, serving

DEFAULT: dict[str, Any] = {
    "ReadWriteType": "All",
    "IncludeManagementEvents": True,
    "DataResources": [],
    "ExcludeManagementEventSources": [],
}
BOTH = (
    "You can select events by using either EventSelectors or AdvancedEventSelectors, but not both."
)
FEATURE_GROUPS: dict[str, Any] = {
    "Name": "feature store",
    "FieldSelectors": [
        {"Field": "resources.type", "Equals": ["AWS::SageMaker::FeatureGroup"]},
        {"Field": "eventCategory", "Equals": ["Data"]},
        {"Field": "eventName", "NotEquals": ["GetRecord"], "StartsWith": ["Put", "Get"]},
    ],
}


@pytest.fixture
def rooms():
    return TrailRooms()


@pytest.fixture
def trails(rooms):
    with serving(SmallHistory(), rooms) as endpoint:
        made = client("cloudtrail", endpoint, ADMIN, validate=False)
        create(made)
        yield made
        made.close()


def put(trails, **selectors):
    return plain(trails.put_event_selectors(TrailName="audit", **selectors))


def got(trails):
    return plain(trails.get_event_selectors(TrailName="audit"))


def has_custom(trails):
    return trails.get_trail(Name="audit")["Trail"]["HasCustomEventSelectors"]


def test_a_new_trail_has_the_default_selector(trails):
    assert got(trails) == {"TrailARN": ARN + "audit", "EventSelectors": [DEFAULT]}
    assert not has_custom(trails)


def test_basic_selectors_are_shown_with_defaults_filled_in(trails):
    objects = {"Type": "AWS::S3::Object", "Values": ["arn:aws:s3:::data/"]}
    given: list[dict[str, Any]] = [
        {},
        {
            "ReadWriteType": "WriteOnly",
            "IncludeManagementEvents": False,
            "DataResources": [objects],
        },
        {"ExcludeManagementEventSources": ["kms.amazonaws.com"]},
    ]
    shown = put(trails, EventSelectors=given)
    assert shown["EventSelectors"] == [DEFAULT | selector for selector in given]
    assert "AdvancedEventSelectors" not in shown
    assert got(trails) == shown
    assert has_custom(trails)


def test_the_default_selector_put_again_is_not_custom(trails):
    put(trails, AdvancedEventSelectors=[FEATURE_GROUPS])
    assert has_custom(trails)
    put(trails, EventSelectors=[DEFAULT])
    assert not has_custom(trails)
    assert got(trails)["EventSelectors"] == [DEFAULT]


def test_advanced_selectors_are_put_as_given_and_got_sorted_by_field(trails, rooms):
    shown = put(trails, AdvancedEventSelectors=[FEATURE_GROUPS, {**FEATURE_GROUPS, "Name": ""}])
    assert shown["AdvancedEventSelectors"][0] == FEATURE_GROUPS
    assert "EventSelectors" not in shown
    fields = sorted(FEATURE_GROUPS["FieldSelectors"], key=lambda each: each["Field"])
    rooms.reopen()
    answer = got(trails)
    assert answer["AdvancedEventSelectors"][0] == FEATURE_GROUPS | {"FieldSelectors": fields}
    assert "EventSelectors" not in answer


def test_what_cannot_be_put_changes_nothing(trails, rooms):
    put(trails, AdvancedEventSelectors=[FEATURE_GROUPS])
    before, log_end = got(trails), rooms.log.durable_end()
    for members, text in (
        (
            {"EventSelectors": [{}], "AdvancedEventSelectors": [FEATURE_GROUPS]},
            BOTH,
        ),
        (
            {"EventSelectors": []},
            "Specify a valid number of selectors (1 to 5) for your trail",
        ),
        ({}, "Specify a valid number of selectors (1 to 5) for your trail"),
        (
            {"AdvancedEventSelectors": []},
            "Specify between 1 and 500 selectors for your trail.",
        ),
        (
            {"AdvancedEventSelectors": [{}]},
            "The following fields are required: [eventCategory].",
        ),
    ):
        expected = ("InvalidEventSelectorsException", text)
        assert refused(trails.put_event_selectors, TrailName="audit", **members) == expected
    assert got(trails) == before
    assert rooms.log.durable_end() == log_end
