# SPDX-License-Identifier: Apache-2.0
"""Records of middleware are made by the thread that sends, of what the call was when it ended."""

import threading
from typing import Any

import pytest
from support.sdk_post import recorder
from support.sdk_service import JSON, Service

from opentrail.sdk.asgi import AuditMiddleware


@pytest.fixture
def service():
    made = Service()
    yield made
    made.trail.close()


def routed(parameters: dict[str, Any]) -> Any:
    """Return an app whose router found ``parameters`` in the path."""

    async def app(scope, receive, send):
        await receive()
        scope["path_params"] = parameters
        await send({"type": "http.response.start", "status": 200, "headers": [JSON]})
        await send({"type": "http.response.body", "body": b"{}"})

    return app


def test_callables_are_asked_in_the_calls_own_thread(service):
    threads: list[int] = []

    def asked(value):
        threads.append(threading.get_ident())
        return None if "type" in value else value

    service.trail = recorder(service.post, redact_value=asked)
    service.app = AuditMiddleware(routed({}), service.trail, actor=asked)
    service.asgi("POST", "/x", b'{"a":1}')
    assert threads == [threading.get_ident()] * 3


def test_a_record_is_of_the_call_as_it_was_when_it_ended(service):
    """The thread that sends makes it, later."""
    claims: dict[str, Any] = {"type": "Root", "sessionContext": {"a": "1"}}
    parameters: dict[str, Any] = {}
    service.app = AuditMiddleware(
        routed(parameters), service.trail, actor=lambda scope: scope and claims
    )
    changing = ["9"]
    service.post.block.clear()
    for value in ("8", changing):
        parameters["order_id"] = value
        service.asgi("POST", "/x", b"{}")
    changing.append("10")
    parameters["order_id"] = "11"
    claims["sessionContext"]["a"] = "2"
    service.post.block.set()
    service.record()
    records = service.post.records
    assert [each["requestParameters"]["order_id"] for each in records] == ["8", ["9"]]
    assert records[1]["userIdentity"]["sessionContext"] == {"a": "1"}


def test_what_comes_after_the_answer_is_not_of_the_record(service):
    """What a background task reads, sends and raises while the record waits to be made."""

    async def app(scope, receive, send):
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": [JSON]})
        await send({"type": "http.response.body", "body": b'{"made":true}'})
        assert (await receive())["body"]
        await send({"type": "http.response.body", "body": b"late"})
        raise OSError(scope["type"])

    service.trail = recorder(service.post, linger_s=0.2)
    service.app = AuditMiddleware(app, service.trail)
    with pytest.raises(OSError, match="http"):
        service.asgi("POST", "/x", b'{"a":1}', more=b"late")
    record = service.record()
    assert "errorCode" not in record
    assert (record["requestParameters"], record["responseElements"]) == ({"a": 1}, {"made": True})
