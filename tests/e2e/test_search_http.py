# SPDX-License-Identifier: Apache-2.0
"""Searches over HTTP: pages, a stream, who may see what, and requests that mean nothing."""

import io
import json
import urllib.error
import urllib.request
from typing import Any

import pyarrow.parquet as pq
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from support import server as servers
from support.aws_clients import Key
from support.server import OpenTrail

from bench.events import Span, events
from opentrail.access.policy import authorize_everywhere
from opentrail.clock import SystemClock, SystemIds
from opentrail.eventlog.base import Draft, Origin
from opentrail.eventlog.options import LogOptions
from opentrail.eventlog.segments import Segments
from opentrail.front.search import EVERY_ACCOUNT, SEARCH_OTHERS

EVENTS = 2500
READER, NOBODY = Key("READERACCESSKEY0", "secret-of-reader"), Key("NOBODYACCESSKEY0", "secret-x")
OTHER = Key("OTHERACCESSKEYID", "secret-of-the-other-account")
CONFIG = f"""
accounts = ["444455556666"]
[access_keys.{READER.access_key_id}]
secret_access_key = "{READER.secret_access_key}"
user_name = "reader"
policies = ["CloudTrailReadOnlyAccess"]
[access_keys.{NOBODY.access_key_id}]
secret_access_key = "{NOBODY.secret_access_key}"
user_name = "nobody"
[access_keys.{OTHER.access_key_id}]
secret_access_key = "{OTHER.secret_access_key}"
user_name = "other"
account = "444455556666"
policies = ["CloudTrailReadOnlyAccess"]
"""


@pytest.fixture(scope="module")
def made() -> list[bytes]:
    now_ms = SystemClock().now_ms()
    return list(events(EVENTS, Span(now_ms - EVENTS * 1000, 1.0)))


@pytest.fixture(scope="module")
def server(made, tmp_path_factory):
    data = tmp_path_factory.mktemp("search") / "data"
    data.mkdir()
    log = Segments.open(data, SystemClock(), SystemIds(), LogOptions())
    for start in range(0, EVENTS, 500):
        log.append([Draft(Origin.CAPTURE, each) for each in made[start : start + 500]])
    log.close()
    with OpenTrail(data, config=CONFIG) as found:
        found.wait_indexed()
        yield found


def ask(server: OpenTrail, key: Key | None, *, accept: str = "", **body: Any) -> tuple[int, bytes]:
    data = json.dumps(body).encode()
    url = f"{server.endpoint}/_opentrail/search"
    headers = {"Content-Type": "application/json"}
    if accept:
        headers["Accept"] = accept
    if key is not None:
        request = AWSRequest("POST", url, headers, data)
        credentials = Credentials(key.access_key_id, key.secret_access_key)
        SigV4Auth(credentials, "opentrail", "us-east-1").add_auth(request)
        headers = dict(request.headers.items())
    asked = urllib.request.Request(url, data, headers, method="POST")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(asked) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def found(server: OpenTrail, key: Key, **body: Any) -> dict[str, Any]:
    status, answer = ask(server, key, **body)
    assert status == 200, answer
    parsed: dict[str, Any] = json.loads(answer)
    return parsed


def test_pages_are_whole_and_in_order(server, made):
    wanted = [json.loads(each) for each in made[::-1]]
    wanted = [each for each in wanted if each["eventName"] == "DescribeEndpoint"]
    records, token = [], None
    while True:
        more: dict[str, Any] = {"nextToken": token} if token else {}
        page = found(
            server, server.admin, query="EventName=DescribeEndpoint", maxResults=200, **more
        )
        records += page["Records"]
        token = page.get("nextToken")
        if token is None:
            break
        assert len(page["Records"]) == 200
    ids = [each["eventID"] for each in records]
    assert sorted(ids) == sorted(each["eventID"] for each in wanted)
    times = [each["eventTime"] for each in records]
    assert times == sorted(times, reverse=True)


def test_a_stream_has_every_match_byte_for_byte(server, made):
    status, answer = ask(server, server.admin, accept="application/x-ndjson", query="sagemaker")
    assert status == 200
    lines = answer.splitlines()
    assert sorted(lines) == sorted(each for each in made if b"sagemaker" in each.lower())
    status, answer = ask(
        server, server.admin, accept="application/x-ndjson", query="EventName=Nope"
    )
    assert (status, answer) == (200, b"")


QUERY = "EventSource=sagemaker.amazonaws.com"


def command(server: OpenTrail, form: str, output: str) -> bytes:
    done = servers.run(
        *("search", QUERY, "--category", "all", "--data", str(server.data), "--format", form),
        *("--max-results", "0", "--output", output),
        home=server.data.parent,
    )
    assert done.returncode == 0, done.stderr
    return (server.data.parent / output).read_bytes()


@pytest.mark.parametrize("form", ["ndjson", "records", "csv", "table"])
def test_downloads_are_what_the_command_writes(server, form):
    status, answer = ask(server, server.admin, query=QUERY, format=form)
    assert status == 200
    wanted = command(server, form, f"events.{form}")
    assert answer == wanted
    assert answer.count(b"DescribeTrainingJob") > 100


def test_a_parquet_download_is_a_file(server, made):
    status, answer = ask(server, server.admin, query=QUERY, format="parquet")
    assert status == 200
    rows = pq.ParquetFile(io.BytesIO(answer)).read()
    wanted = sorted(each for each in made if json.loads(each)["eventSource"] in QUERY)
    assert sorted(each.encode() for each in rows.column("record").to_pylist()) == wanted
    status, answer = ask(server, server.admin, query=QUERY, accept="text/csv")
    assert answer.startswith(b"eventTime,eventName,")
    status, answer = ask(server, server.admin, query="EventName=Nope", format="records")
    assert json.loads(answer) == {"Records": []}


def test_each_search_leaves_an_event(server):
    query = "EventName=CreateModel and Account=123456789012"
    before = len(server.events())
    page = found(server, READER, query=query, maxResults=3)
    ask(server, NOBODY, query=query)
    ask(server, READER, query="(")
    ask(server, READER, query=query, format="csv")
    ask(server, Key(READER.access_key_id, "wrong"), query=query)
    told = server.events()[before:]
    assert len(page["Records"]) == 3
    assert [
        (each["eventName"], each["userIdentity"]["userName"], each.get("errorCode"))
        for each in told
    ] == [
        ("SearchEvents", "reader", None),
        ("SearchEvents", "nobody", "AccessDeniedException"),
        ("SearchEvents", "reader", "InvalidQueryStatementException"),
        ("SearchEvents", "reader", None),
        ("SearchEventsEnded", "reader", None),
    ]
    first, _, _, begun, ended = told
    assert first["requestParameters"] == {"query": query, "maxResults": 3}
    assert first["responseElements"] == {"records": 3}
    assert begun["requestParameters"] == {"query": query, "format": "csv"}
    assert begun["responseElements"] is None
    assert begun["requestID"] == ended["requestID"]
    assert ended["responseElements"]["records"] > 3
    assert ended["responseElements"]["complete"] is True
    assert {each["readOnly"] for each in told} == {True}
    attribute = {"AttributeKey": "EventId", "AttributeValue": first["eventID"]}
    assert len(server.lookup(LookupAttributes=[attribute])) == 1


def test_times_and_categories(server, made):
    newest = json.loads(made[-1])
    page = found(server, READER, query=f"EventId={newest['eventID']} and Category=Management")
    assert page == {"Records": [newest]}
    assert found(server, READER, endTime=1.0) == {"Records": []}


def test_who_may_see_what(server):
    own = found(server, READER, query="Category=Management", maxResults=1)
    assert own["Records"][0]["recipientAccountId"] == "123456789012"
    others = "not EventName=SearchEvents"
    assert found(server, OTHER, query=others) == {"Records": []}
    assert found(
        server, OTHER, query=f"({others}) and (Account=123456789012 or not errorCode)"
    ) == {"Records": []}
    for key, code in ((NOBODY, "AccessDenied"), (Key("UNKNOWNACCESSKEY", "x"), ""), (None, "")):
        status, answer = ask(server, key)
        assert status in (400, 403), answer
        assert code in json.loads(answer).get("__type", code)
    status, answer = ask(server, Key(READER.access_key_id, "wrong"))
    assert status == 403


def test_a_deny_of_one_account_is_no_leave_to_see_all():
    allow = '{"Statement":[{"Effect":"Allow","Action":"opentrail:*","Resource":"%s"}%s]}'
    deny = ',{"Effect":"Deny","Action":"opentrail:SearchOtherAccounts","Resource":"arn:aws:opentrail::222222222222:events"}'
    for resource, more, everywhere in (
        ("*", "", True),
        ("*", deny, False),
        ("arn:aws:opentrail::?:events", "", False),
    ):
        policies = [allow % (resource, more)]
        assert authorize_everywhere(policies, SEARCH_OTHERS, EVERY_ACCOUNT) is everywhere


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"query": "(EventName=X"}, "InvalidQueryStatementException"),
        ({"query": "EventName:X"}, "InvalidQueryStatementException"),
        ({"query": "EventName = "}, "InvalidQueryStatementException"),
        ({"maxResults": 0}, "InvalidMaxResultsException"),
        ({"maxResults": 1001}, "InvalidMaxResultsException"),
        ({"nextToken": "x"}, "InvalidNextTokenException"),
        ({"limit": 1}, "SerializationException"),
        ({"startTime": 1e300}, "InvalidTimeRangeException"),
        ({"endTime": 1_769_853_600_000}, "InvalidTimeRangeException"),
        ({"startTime": 2.5, "endTime": 2.4}, "InvalidTimeRangeException"),
        ({"query": "x" * 20_000}, "InvalidQueryStatementException"),
        ({"query": "x" * 70_000}, "RequestEntityTooLargeException"),
    ],
)
def test_requests_that_mean_nothing(server, body, code):
    status, answer = ask(server, server.admin, **body)
    assert status in (400, 413)
    assert json.loads(answer)["__type"] == code


def test_only_post(server):
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(f"{server.endpoint}/_opentrail/search")
    assert error.value.code == 405
    assert error.value.headers["allow"] == "POST"
    error.value.close()
