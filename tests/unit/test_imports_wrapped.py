# SPDX-License-Identifier: Apache-2.0
"""Records are taken out of whatever they travel in, with their bytes; what is none is said."""

import base64
import gzip
import json

import pytest

from opentrail.event.caps import RECORD_BYTES_MAX
from opentrail.imports.split import NoRecord, Unread
from opentrail.imports.unpack import plain_records, records_of

ONE = b'{"eventVersion":"1.08","eventTime":"2026-01-31T10:00:00Z","n":70.0,"eventID":"1"}'
TWO = b'{ "eventVersion": "1.0",  "x": [1e3, "\\u00e9"], "eventTime": "2014-03-06T17:10:34Z"}'
TEXTS = [ONE.decode(), TWO.decode()]
MESSAGES = [{"id": "1", "timestamp": 1, "message": text} for text in TEXTS]


def packed(data: bytes) -> str:
    return base64.b64encode(gzip.compress(data)).decode()


def bridged(text: str) -> str:
    return json.dumps({"detail-type": "AWS API Call via CloudTrail", "detail": json.loads(text)})


NOTICES = [{"Type": "Notification", "TopicArn": "t", "Message": text} for text in TEXTS]
LOGS = json.dumps({"messageType": "DATA_MESSAGE", "logEvents": MESSAGES}).encode()
WRAPPED: dict[str, object] = {
    "events of LookupEvents alone": [{"EventId": "1", "CloudTrailEvent": text} for text in TEXTS],
    "SNS": NOTICES,
    "SQS, what receive-message prints": {"Messages": [{"Body": text} for text in TEXTS]},
    "SQS, what a function gets": {
        "Records": [{"body": text, "eventSource": "aws:sqs"} for text in TEXTS]
    },
    "SNS in SQS": {"Messages": [{"Body": json.dumps(notice)} for notice in NOTICES]},
    "SNS, what a function gets": {"Records": [{"Sns": notice} for notice in NOTICES]},
    "CloudWatch Logs in Kinesis": {"Records": [{"kinesis": {"data": packed(LOGS)}}]},
    "Firehose": {"invocationId": "1", "records": [{"data": packed(LOGS)}]},
    "Splunk": [{"result": {"_raw": text}} for text in TEXTS],
    "Elasticsearch": [{"_source": {"event": {"original": text}}} for text in TEXTS],
    "Elasticsearch, names with dots": [{"_source": {"event.original": text}} for text in TEXTS],
    "a log shipper": [{"message": text} for text in TEXTS],
    "Docker": [{"log": text + "\n", "stream": "stdout"} for text in TEXTS],
    "what is sent to Splunk": [{"time": 1.5, "event": text} for text in TEXTS],
    "a search of Splunk": {"preview": False, "results": [{"_raw": text} for text in TEXTS]},
    "searches of Elasticsearch": {
        "took": 1,
        "responses": [
            {"hits": {"total": {"value": 1}, "hits": [{"_source": {"message": text}}]}}
            for text in TEXTS
        ]
        + [{"hits": {"total": {"value": 0}, "hits": []}}],
    },
    "Kinesis, what get-records prints": {
        "Records": [{"Data": base64.b64encode(each).decode()} for each in (ONE, TWO)]
    },
    "CloudWatch Logs Insights, exported": [{"@timestamp": "x", "@message": text} for text in TEXTS],
    "Graylog": [{"version": "1.1", "short_message": "x", "full_message": text} for text in TEXTS],
    "Wazuh": [{"location": "x", "full_log": text} for text in TEXTS],
    "LogScale": [{"@timestamp": 1, "#repo": "x", "@rawstring": text} for text in TEXTS],
    "Sumo Logic": {"fields": [], "messages": [{"map": {"_raw": t, "_size": "9"}} for t in TEXTS]},
    "Pub/Sub": {
        "receivedMessages": [
            {"ackId": "1", "message": {"data": base64.b64encode(each).decode()}}
            for each in (ONE, TWO)
        ]
    },
    "OpenTelemetry": {
        "resourceLogs": [
            {
                "resource": {"attributes": [{"key": "k", "value": {"stringValue": "v"}}]},
                "scopeLogs": [{"scope": {}, "logRecords": [{"body": {"stringValue": text}}]}],
            }
            for text in TEXTS
        ]
    },
    "RunReveal": [{"sourceType": "aws-cloudtrail", "rawLog": text} for text in TEXTS],
    "Azure": [{"TimeGenerated": "x", "RawData": text} for text in TEXTS],
    "Loki": [{"labels": {"job": "x"}, "line": text, "timestamp": "x"} for text in TEXTS],
    "OCSF with the event that it was made of": [{"class_uid": 6003, "raw_data": t} for t in TEXTS],
    "texts beside another": [
        {"message": "AwsApiCall by me", "event": {"action": "x", "original": text}}
        for text in TEXTS
    ],
    "objects beside texts": [
        {"message": text, "event": {"kind": "event", "original": "none"}} for text in TEXTS
    ],
}


@pytest.mark.parametrize("shape", list(WRAPPED))
def test_records_are_taken_out_of_what_queues_and_log_tools_wrap_around_them(shape: str):
    data = json.dumps(WRAPPED[shape], separators=(",", ":")).encode()
    assert plain_records(data) is None
    assert list(records_of(data)) == [ONE, TWO]


def test_records_are_taken_out_of_tools_that_keep_them_as_objects():
    there = [json.loads(text) for text in TEXTS]
    hits = [{"_id": "1", "_source": {"@timestamp": "t", "event": each}} for each in there]
    for shape in (
        {"took": 1, "hits": {"total": {"value": 2}, "hits": hits}},
        hits,
        [{"_source": each} for each in there],
        [{"time": 1.5, "sourcetype": "aws:cloudtrail", "event": each} for each in there],
        [{"preview": False, "result": each} for each in there],
        {"results": there},
        [{"message": each} for each in there],
        {"logEvents": [{"message": each} for each in there]},
        {"Messages": [{"Body": each} for each in there]},
        {"Records": [{"body": {"Message": each}} for each in there]},
        {"Events": [{"EventId": "1", "CloudTrailEvent": each} for each in there]},
        [{"kinesis": {"data": {"events": [{"message": each}]}}} for each in there],
    ):
        found = list(records_of(json.dumps(shape).encode()))
        assert [json.loads(each) for each in found if isinstance(each, bytes)] == there
        assert len(found) == len(there)


def test_what_a_tool_shows_twice_is_taken_once_as_it_came():
    there = [json.loads(text) for text in TEXTS]
    wazuh = [{"integration": "aws", "aws": each} for each in there]
    apart = {"eventTime": "2026", "n": "70"}
    shapes: list[object] = [
        [{"data": {"aws": apart}, "full_log": json.dumps(each)} for each in wazuh],
        [{"data": each} for each in wazuh],
        [{"data": each, "full_log": "nothing"} for each in wazuh],
        [{"_id": "1", "message": text, "attributes": apart} for text in TEXTS],
        [{"_id": "1", "message": "", "attributes": each} for each in there],
        {"data": [{"type": "log", "attributes": {"attributes": each}} for each in there]},
    ]
    for shape in shapes:
        found = list(records_of(json.dumps(shape).encode()))
        assert [json.loads(each) for each in found if isinstance(each, bytes)] == there
        assert len(found) == len(there)


def test_aggregated_events_have_a_time_window_instead_of_a_time():
    each = b'{"eventVersion":"1.0","eventCategory":"Aggregated","timeWindow":{},"summary":{}}'
    data = b"[%b, %b]" % (each, each)
    assert list(records_of(data)) == [each, each]
    assert list(records_of(b'{"Records":[%b]}' % each)) == [each]


def test_eventbridge_in_cloudwatch_logs_and_in_a_queue():
    for wrapping in (
        {"logEvents": [{"message": bridged(TEXTS[0])}]},
        {"Messages": [{"Body": json.dumps({"Message": bridged(TEXTS[0])})}]},
    ):
        (found,) = records_of(json.dumps(wrapping).encode())
        assert found == json.dumps(json.loads(ONE)).encode()


def test_a_control_message_of_cloudwatch_logs_holds_no_record():
    asks = {"messageType": "CONTROL_MESSAGE", "logEvents": [{"message": "CWL CONTROL MESSAGE: x"}]}
    assert list(records_of(json.dumps(asks).encode())) == [NoRecord(0)]


BULK = (
    b'{"index":{"_index":"cloudtrail","_id":"{1"}}\n%b\n{ "create" : {} }\n{"message":%b}\n'
    b'{"delete":{"_id":"2","routing":"a"}}\n{"update":{"_id":"1","retry_on_conflict":3}}\n{"doc":%b}\n'
)


def test_action_lines_of_elasticsearch_are_no_records_and_no_loss():
    found = list(records_of(BULK % (ONE, json.dumps(TEXTS[1]).encode(), ONE)))
    assert [each for each in found if isinstance(each, bytes)] == [ONE, TWO, ONE]
    places = [each.position for each in found if isinstance(each, NoRecord)]
    assert places[0] == 0
    assert len(places) == 4
    assert len(found) == 7


@pytest.mark.parametrize(
    "odd",
    [
        b'{"index":{"a":1}}',
        b'{"index":{"_id":{"a":1}}}',
        b'{"index":{},"create":{}}',
        b'{"index":1}',
    ],
)
def test_what_only_looks_like_an_action_line_is_said(odd: bytes):
    assert list(records_of(odd)) == [odd]


def test_a_notification_of_s3_is_no_record():
    notice = {"eventVersion": "2.1", "eventSource": "aws:s3", "eventTime": "2026-01-31T10:00:00Z"}
    for shape in ({"Records": [notice]}, {"Body": json.dumps({"Records": [notice, notice]})}):
        data = json.dumps(shape, separators=(",", ":")).encode()
        assert plain_records(data) is None
        reasons = {each.reason for each in records_of(data) if isinstance(each, Unread)}
        assert reasons == {"a notification of a service, no CloudTrail record"}


def test_a_record_is_never_opened_whatever_its_fields_are_called():
    odd = {"eventTime": "2026-01-31T10:00:00Z", "body": ONE.decode(), "detail-type": "x"}
    data = json.dumps(odd, separators=(",", ":")).encode()
    assert list(records_of(data)) == [data]


def test_what_wraps_no_record_is_itself():
    for odd in ({"message": "hello"}, {"Body": "1"}, {"data": "?"}, {"event": {"message": "{}"}}):
        data = json.dumps(odd, separators=(",", ":")).encode()
        assert list(records_of(data)) == [data]
        assert list(records_of(b'{"Messages":[' + data + b"]}")) == [data]
    large = b'{"body":"' + b"x" * RECORD_BYTES_MAX + b'"}'
    (found,) = records_of(large)
    assert isinstance(found, Unread)


def test_what_is_damaged_beside_a_wrapped_record_is_said():
    both = b'{"message":' + json.dumps(TEXTS[0]).encode() + b',"body":"{bad"}'
    found = list(records_of(both))
    assert ONE in found
    assert any(isinstance(each, Unread) for each in found)


def test_envelopes_in_each_other_end_somewhere():
    text = json.dumps({"body": TEXTS[0]}, separators=(",", ":")).encode()
    assert list(records_of(b'{"event":' + text + b"}")) == [ONE]
    deep = b'{"event":' * 20 + text + b"}" * 20
    assert list(records_of(deep)) == [deep]


def test_of_a_row_of_logs_insights_the_message_is_taken_and_what_says_where_it_was_is_beside():
    rows = [
        [
            {"field": "@timestamp", "value": "2026-01-31 10:00:00.000"},
            {"field": "@message", "value": text},
            {"field": "@ptr", "value": "CmEKJgoi"},
        ]
        for text in TEXTS
    ]
    data = json.dumps({"results": rows, "status": "Complete"}).encode()
    found = list(records_of(data))
    assert [each for each in found if not isinstance(each, NoRecord)] == [ONE, TWO]
    assert len(found) == 6


@pytest.mark.parametrize("field", ["eventName", "@message"])
def test_a_row_of_logs_insights_without_a_record_is_no_record_itself(field: str):
    cell = json.dumps({"field": field, "value": "CreateUser"}).encode()
    assert list(records_of(b'{"results": [[%s]]}' % cell)) == [cell]  # which has no time


UNKNOWN: dict[str, object] = {
    "CloudTrail Lake, what get-query-results prints": {
        "QueryResultRows": [[{"eventID": "1"}, {"eventJson": text}] for text in TEXTS]
    },
    "tests of Elastic's": {"expected": [{"event": {"original": text}} for text in TEXTS]},
    "tests of Sekoia's": {
        "input": {"message": TEXTS[0] + "\n"},
        "expected": {"message": TEXTS[1], "event": {"category": ["x"]}, "action": {"a": "b"}},
    },
    "beside an empty list of a known name": {"Records": [], "kept": {"a": TEXTS}},
    "twice, as it came and taken apart": [
        {"kept": {"message": text, "eventVersion": "1.08", "apart": {"eventVersion": "1.08"}}}
        for text in TEXTS
    ],
}


@pytest.mark.parametrize("shape", list(UNKNOWN))
def test_records_are_taken_out_of_members_whose_names_nobody_knows(shape: str):
    assert list(records_of(json.dumps(UNKNOWN[shape]).encode())) == [ONE, TWO]


def test_records_are_taken_out_of_unknown_members_that_hold_them_as_objects():
    there = [json.loads(text) for text in TEXTS]
    for shape in ({"Tests": [{"Name": "x", "Log": each} for each in there]}, {"a": {"b": there}}):
        found = list(records_of(json.dumps(shape).encode()))
        assert [json.loads(each) for each in found if isinstance(each, bytes)] == there
        assert len(found) == 2


def test_of_unknown_members_only_what_has_a_version_and_a_time_is_a_record():
    for odd in ({"eventTime": "2026"}, {"eventVersion": "1.08"}, "eventVersion and eventTime"):
        data = json.dumps({"finding": odd, "of": "eventVersion"}).encode()
        assert list(records_of(data)) == [data]


@pytest.mark.parametrize("text", [TEXTS[0][:-9], TEXTS[0].replace("70.0", "NaN")])
def test_what_is_damaged_in_an_unknown_member_is_said(text: str):
    found = list(records_of(json.dumps({"kept": [text, TEXTS[1]]}).encode()))
    assert [each for each in found if isinstance(each, bytes)] == [TWO]
    assert len([each for each in found if isinstance(each, Unread)]) == 1


def test_between_records_in_an_unknown_member_nothing_is_passed_over_in_silence():
    found = list(records_of(b'{"kept":[%b,\n J %b,%b]}' % (ONE, TWO, ONE)))
    assert ONE in found
    assert any(isinstance(each, Unread) for each in found)
    almost = b'{"eventVersion":"1.08","eventName":"x"}'
    assert list(records_of(b'{"kept":[%b,%b,{"a":1},"a"]}' % (ONE, almost))) == [ONE, almost]
    texts = json.dumps({"kept": [TEXTS[0], almost.decode(), "a"]}).encode()
    assert len(list(records_of(texts))) == 2
    twice = [{"of": {"original": text}} for text in (TEXTS[0], "cut")]
    found = list(records_of(json.dumps({"kept": twice}).encode()))
    assert found == [ONE, json.dumps(twice[1]).encode()]


def test_what_lookup_events_prints_as_text():
    rows = b"".join(
        b"EVENTS\tAKIA1\t%b\t1\tPutUser\tiam.amazonaws.com\t2026-01-31T10:00:00+00:00\tfalse\tada\n"
        b"RESOURCES\tada\tAWS::IAM::User\n" % each
        for each in (ONE, TWO)
    )
    found = list(records_of(b"NEXTTOKEN\tx\n" + rows))
    assert [each for each in found if isinstance(each, bytes)] == [ONE, TWO]
    assert len([each for each in found if isinstance(each, NoRecord)]) == 3
    assert len(found) == 5
    assert isinstance(next(iter(records_of(b"x\t{}\ty\n"))), Unread)
