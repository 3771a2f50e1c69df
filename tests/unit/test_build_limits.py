# SPDX-License-Identifier: Apache-2.0
import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.calls import ACCOUNT, Made, body, caller, record_of

from opentrail.capture.build import BuildSettings, Built, build
from opentrail.capture.call import Outcome
from opentrail.capture.limits import ARN_BYTES_MAX, RESOURCES_MAX, truncated
from opentrail.event.caps import (
    ADDITIONAL_BYTES_MAX,
    BODY_KEPT_MAX,
    OBJECT_BYTES_MAX,
    RECORD_BYTES_MAX,
    TEXT_BYTES_MAX,
)

FEATURE_STORE = "sagemaker-featurestore-runtime"


def filled(wrapping: str, size: int) -> str:
    """Text that makes ``wrapping`` (with %s) exactly ``size`` bytes long."""
    return "x" * (size - len(wrapping % ""))


@pytest.mark.parametrize("excess", [0, 1])
def test_request_parameters_of_100_kb_stay_and_larger_ones_are_omitted(excess):
    name = filled('{"modelName":"%s"}', OBJECT_BYTES_MAX + excess)
    record = Made("sagemaker", "CreateModel", {"ModelName": name}, {}).record()
    assert record["requestParameters"] == (
        {
            "reason": "requestParameters too large",
            "omitted": True,
            "originalSize": OBJECT_BYTES_MAX + 1,
        }
        if excess
        else {"modelName": name}
    )


@pytest.mark.parametrize("excess", [0, 1])
def test_response_elements_of_100_kb_stay_and_larger_ones_are_omitted(excess):
    arn = filled('{"modelArn":"%s"}', OBJECT_BYTES_MAX + excess)
    record = Made("sagemaker", "CreateModel", {}, {"ModelArn": arn}).record()
    assert record["responseElements"] == (
        {
            "reason": "responseElements too large",
            "omitted": True,
            "originalSize": OBJECT_BYTES_MAX + 1,
        }
        if excess
        else {"modelArn": arn}
    )


@pytest.mark.parametrize("excess", [0, 1])
def test_additional_event_data_of_28_kb_stays_and_more_is_omitted(excess):
    why = filled('{"why":"%s"}', ADDITIONAL_BYTES_MAX + excess)
    made = Made("sagemaker", "CreateModel", more={"additional": {"why": why}})
    assert made.record()["additionalEventData"] == (
        {
            "reason": "additionalEventData too large",
            "omitted": True,
            "originalSize": ADDITIONAL_BYTES_MAX + 1,
        }
        if excess
        else {"why": why}
    )


@pytest.mark.parametrize("excess", [0, 1])
def test_a_body_that_was_not_kept_whole_is_omitted_with_its_size(excess):
    sent = b'{"ModelName":"m"}' + b" " * (BODY_KEPT_MAX + excess - 17)
    answer = b'{"ModelArn":"a"}' + b" " * (BODY_KEPT_MAX + excess - 16)
    record = Made("sagemaker", "CreateModel", sent, answer).record()
    if excess:
        size = BODY_KEPT_MAX + 1
        assert record["requestParameters"]["originalSize"] == size
        assert record["responseElements"]["originalSize"] == size
    else:
        assert record["requestParameters"] == {"modelName": "m"}
        assert record["responseElements"] == {"modelArn": "a"}


def test_a_body_that_the_record_does_not_need_may_be_any_size():
    made = Made(FEATURE_STORE, "PutRecord", b"x" * (BODY_KEPT_MAX + 1), path="/FeatureGroup/fg")
    assert made.record()["requestParameters"] == {"featureGroupName": "fg"}


def test_a_gzip_bomb_is_not_inflated():
    made = Made("sagemaker", "CreateModel", headers={"content-encoding": "gzip"})
    call = made.call()
    call.request = body(gzip.compress(b'{"ModelName":"' + b"x" * (4 * BODY_KEPT_MAX) + b'"}'))
    assert call.request.complete
    assert record_of(call)["requestParameters"]["omitted"] is True


def test_all_members_of_a_gzipped_request_are_read():
    made = Made("sagemaker", "CreateModel", headers={"content-encoding": "x-gzip"})
    call = made.call()
    packed = gzip.compress(b'{"ModelName":"m",') + gzip.compress(b'"ExecutionRoleArn":"r"}')
    call.request = body(packed + bytes(10))
    assert record_of(call)["requestParameters"] == {"modelName": "m", "executionRoleArn": "r"}


def test_members_of_a_gzipped_request_share_one_bound():
    made = Made("sagemaker", "CreateModel", headers={"content-encoding": "gzip"})
    call = made.call()
    call.request = body(gzip.compress(b" " * BODY_KEPT_MAX) + gzip.compress(b'{"ModelName":"m"}'))
    assert record_of(call)["requestParameters"]["omitted"] is True


def test_a_body_that_only_the_service_could_read_is_marked():
    made = Made("sagemaker", "CreateModel", answer={"ModelArn": "a"})
    call = made.call()
    call.request = body(b'{"ModelName":"m",}')
    record = record_of(call)
    assert record["requestParameters"] is None
    assert record["additionalEventData"] == {"requestUnreadable": True}
    call.response = body(b"<html>")
    assert record_of(call)["additionalEventData"]["responseUnreadable"] is True
    call.status = 400  # the service could not read it either
    assert "additionalEventData" not in record_of(call)


def test_of_a_rest_body_that_cannot_be_read_the_path_is_kept_and_the_rest_marked():
    made = Made("eks", "UpdateClusterConfig", path="/clusters/abc/update-config")
    call = made.call()
    call.request = body(b"{'logging':{}}")
    record = record_of(call)
    assert record["requestParameters"] == {"name": "abc"}
    assert record["additionalEventData"] == {"requestUnreadable": True}


def test_nothing_is_marked_where_the_record_needs_nothing_of_the_body():
    made = Made(
        "sagemaker-runtime", "InvokeEndpoint", method="POST", path="/endpoints/e/invocations"
    )
    call = made.call()
    call.request = call.response = body(b"\xff{")
    assert "additionalEventData" not in record_of(call)


@pytest.mark.parametrize("field", ["user_agent", "error_code", "error_message", "request_id"])
@pytest.mark.parametrize("excess", [0, 1])
def test_scalars_are_truncated_at_1_kb(field, excess):
    more = {"outcome": Outcome.REFUSED, "response_headers": {}, "error_code": "Code"}
    made = Made("sagemaker", "CreateModel", more={**more, field: "x" * (TEXT_BYTES_MAX + excess)})
    name = {"user_agent": "userAgent", "request_id": "requestID"}.get(
        field, field.replace("_c", "C").replace("_m", "M")
    )
    assert made.record()[name] == "x" * TEXT_BYTES_MAX


@given(st.text(max_size=2000))
def test_truncation_keeps_whole_characters_and_all_that_fit(text):
    kept = truncated(text)
    assert text.startswith(kept)
    assert len(kept.encode()) <= TEXT_BYTES_MAX
    if kept != text:
        assert len((kept + text[len(kept)]).encode()) > TEXT_BYTES_MAX


@pytest.mark.parametrize("character", ["é", "語", "🙂"])
def test_no_character_is_cut_in_two(character):
    assert set(truncated("x" + character * TEXT_BYTES_MAX)) == {"x", character}


@pytest.mark.parametrize("count", [RESOURCES_MAX, RESOURCES_MAX + 1])
def test_resources_are_bounded(count):
    groups = [{"FeatureGroupName": f"g{n}"} for n in range(count)]
    made = Made(FEATURE_STORE, "BatchGetRecord", {"Identifiers": groups}, path="/BatchGetRecord")
    assert len(made.record()["resources"]) == RESOURCES_MAX


@pytest.mark.parametrize(
    ("name", "named"),
    [("g" * ARN_BYTES_MAX, True), ("g" * (ARN_BYTES_MAX + 1), False), ("a:b", False), ("", False)],
)
def test_what_can_be_no_name_is_no_resource(name, named):
    made = Made(
        FEATURE_STORE,
        "BatchGetRecord",
        {"Identifiers": [{"FeatureGroupName": name}, {"FeatureGroupName": 7}, "x"]},
        path="/BatchGetRecord",
    )
    (resource,) = made.record()["resources"]
    assert ("ARN" in resource) is named
    assert resource["type"] == "AWS::SageMaker::FeatureGroup"


def crowded() -> Made:
    """A call whose every part is as large as its own cap allows: together over 256 KB."""
    groups = [{"FeatureGroupName": f"{n:03}" + "g" * 980} for n in range(RESOURCES_MAX)]
    return Made(
        FEATURE_STORE,
        "BatchGetRecord",
        {"Identifiers": groups},
        path="/BatchGetRecord",
        more={"additional": {"why": "x" * (ADDITIONAL_BYTES_MAX - 100)}},
    )


def test_objects_give_way_until_the_record_is_within_256_kb():
    call = crowded().call()
    call.caller = caller(identity={"type": "Unknown", "userName": "u" * 40_000})
    built = build(call, BuildSettings())
    assert isinstance(built, Built)
    record = json.loads(built.data)
    assert len(built.data) <= RECORD_BYTES_MAX
    assert record["requestParameters"]["omitted"] is True
    assert len(record["resources"]) == RESOURCES_MAX


def test_in_the_end_all_of_them_give_way():
    call = crowded().call()
    call.caller = caller(identity={"type": "Unknown", "userName": "u" * 200_000})
    built = build(call, BuildSettings())
    assert isinstance(built, Built)
    assert len(built.data) <= RECORD_BYTES_MAX
    record = json.loads(built.data)
    assert record["additionalEventData"]["omitted"] is True
    assert record["resources"] == [{"accountId": ACCOUNT, "type": "AWS::SageMaker::FeatureGroup"}]
    assert record["userIdentity"]["type"] == "Unknown"


def test_a_record_within_256_kb_loses_nothing():
    name = "x" * (OBJECT_BYTES_MAX - 100)
    made = Made(
        "sagemaker",
        "CreateModel",
        {"ModelName": name},
        {"ModelArn": name},
        more={"additional": {"why": "x" * (ADDITIONAL_BYTES_MAX - 100)}},
    )
    record = made.record()
    assert record["requestParameters"] == {"modelName": name}
    assert record["responseElements"] == {"modelArn": name}
    assert "omitted" not in record["additionalEventData"]


def test_deep_nesting_is_no_way_to_stop_the_recording():
    deep = b'{"PrimaryContainer":' * 20_000 + b"1" + b"}" * 20_000
    assert Made("sagemaker", "CreateModel", deep).record()["eventName"] == "CreateModel"
    nested = b'{"SearchExpression":' + b'{"SubExpressions":[' * 900 + b"]}" * 900 + b"}"
    assert Made("sagemaker", "Search", nested).record()["eventName"] == "Search"
