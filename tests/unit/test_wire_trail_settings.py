# SPDX-License-Identifier: Apache-2.0
"""Insights, event configurations, resource policies: what trails do not have is not pretended."""

import pytest
from support.aws_clients import client
from support.trail_calls import ARN, create, plain, refused
from support.trail_rooms import TrailRooms
from support.wire_server import ACCOUNT, ADMIN, REGION, SmallHistory, serving

AUDIT = ARN + "audit"
STORE = f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:eventdatastore/11111111-2222-3333-4444-555555555555"
RATE = {"InsightType": "ApiCallRateInsight"}
BOTH = {"TrailName": "audit", "EventDataStore": STORE}
AGGREGATED = {"EventCategory": "Data", "Templates": ["API_ACTIVITY"]}
UNSUPPORTED = "UnsupportedOperationException"


@pytest.fixture
def trails():
    with serving(SmallHistory(), TrailRooms()) as address:
        made = client("cloudtrail", address, ADMIN, validate=False)
        create(made)
        yield made
        made.close()


def test_insights_are_off_and_can_be_turned_off_only(trails):
    text = (
        "Trail audit does not have Insights enabled. Edit the trail settings to enable Insights, "
        "and then try the operation again."
    )
    for name in ("audit", AUDIT):
        expected = ("InsightNotEnabledException", text)
        assert refused(trails.get_insight_selectors, TrailName=name) == expected
        off = trails.put_insight_selectors(TrailName=name, InsightSelectors=[])
        assert plain(off) == {"TrailARN": AUDIT, "InsightSelectors": []}
    put = trails.put_insight_selectors
    assert refused(put, TrailName="audit", InsightSelectors=[RATE])[0] == UNSUPPORTED
    for bad in ({"InsightType": "Other"}, {}, RATE | {"EventCategories": ["Insight"]}):
        code, _ = refused(put, TrailName="audit", InsightSelectors=[bad])
        assert code == "InvalidInsightSelectorsException"
    assert not trails.get_trail(Name="audit")["Trail"]["HasInsightSelectors"]
    assert refused(put, TrailName="audit")[0] == "InvalidParameterException"


def test_insights_of_what_is_not_there(trails):
    get, put = trails.get_insight_selectors, trails.put_insight_selectors
    assert refused(get, TrailName="ghost")[0] == "TrailNotFoundException"
    assert refused(put, TrailName="ghost", InsightSelectors=[])[0] == "TrailNotFoundException"
    assert refused(get, EventDataStore=STORE)[0] == UNSUPPORTED
    assert refused(put, EventDataStore=STORE, InsightSelectors=[])[0] == UNSUPPORTED
    assert refused(get, **BOTH)[0] == "InvalidParameterCombinationException"


def test_a_trail_aggregates_nothing(trails):
    get, put = trails.get_event_configuration, trails.put_event_configuration
    none = {"TrailARN": AUDIT, "AggregationConfigurations": []}
    assert plain(get(TrailName=AUDIT)) == none
    assert plain(put(TrailName="audit", AggregationConfigurations=[])) == none
    given = {"TrailName": "audit", "AggregationConfigurations": [AGGREGATED]}
    assert refused(put, **given)[0] == UNSUPPORTED
    for bad in (
        [AGGREGATED, AGGREGATED],
        [AGGREGATED | {"EventCategory": "Management"}],
        [AGGREGATED | {"Templates": []}],
        [AGGREGATED | {"Templates": ["OTHER"]}],
    ):
        given = {"TrailName": "audit", "AggregationConfigurations": bad}
        assert refused(put, **given)[0] == "InvalidParameterException"
    size = {"TrailName": "audit", "MaxEventSize": "Large"}
    assert refused(put, **size)[0] == "InvalidParameterCombinationException"
    assert refused(put, **BOTH)[0] == "InvalidParameterCombinationException"
    assert refused(get, EventDataStore=STORE)[0] == "EventDataStoreNotFoundException"
    assert refused(get, TrailName="ghost")[0] == "TrailNotFoundException"


@pytest.mark.parametrize(
    ("arn", "code"),
    [
        (AUDIT, "ResourceTypeNotSupportedException"),
        (STORE, "ResourceNotFoundException"),
        (STORE.replace("eventdatastore", "channel"), "ResourceNotFoundException"),
        ("audit", "ResourceARNNotValidException"),
        ("", "ResourceARNNotValidException"),
    ],
)
def test_trails_have_no_resource_policies(trails, arn, code):
    assert refused(trails.get_resource_policy, ResourceArn=arn)[0] == code
    assert refused(trails.put_resource_policy, ResourceArn=arn, ResourcePolicy="{}")[0] == code
    assert refused(trails.delete_resource_policy, ResourceArn=arn)[0] == code
