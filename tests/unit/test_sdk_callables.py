# SPDX-License-Identifier: Apache-2.0
"""What a user's callables return or raise: a call is recorded whatever they do, and breaks never."""

import json
import uuid

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
from support.sdk_post import recorder
from support.sdk_service import Service

from opentrail.event.record import HIDDEN
from opentrail.sdk import audit_event
from opentrail.sdk.asgi import AuditMiddleware


@pytest.fixture
def service():
    made = Service()
    yield made
    made.trail.close()


def app(resources=None):
    @audit_event(resources=resources)
    async def order(request):
        sent = await request.json()
        said = {"message": f"{sent['note']} is bad"} if sent.get("bad") else sent
        return JSONResponse(said, status_code=400 if sent.get("bad") else 200)

    return Starlette(routes=[Route("/orders/{order}", order, methods=["POST"])])


class User:
    def __str__(self):
        return "mary"


@pytest.mark.parametrize(
    ("said", "name"),
    [
        (b"mary", "mary"),  # a header of ASGI's
        (b"m\xe4ry", "m�ry"),
        (7, "7"),
        (uuid.UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        (User(), "mary"),
        ("x" * 5000, "x" * 1024),
    ],
)
def test_whatever_names_an_actor_is_its_name(service, said, name):
    service.app = AuditMiddleware(app(), service.trail, actor=lambda _scope: said)
    service.asgi("POST", "/orders/7", b"{}")
    identity = service.record()["userIdentity"]
    assert identity == {
        "type": "Unknown",
        "principalId": name,
        "accountId": "123456789012",
        "userName": name,
    }


@pytest.mark.parametrize("said", [["mary"], object()])
def test_what_names_nobody_is_told(service, said):
    service.app = AuditMiddleware(app(), service.trail, actor=lambda _scope: said)
    service.asgi("POST", "/orders/7", b"{}")
    assert service.trail.flush()
    [record] = service.post.records
    assert record["userIdentity"] == {"type": "Unknown", "accountId": "123456789012"}
    assert record["additionalEventData"]["notRecorded"] == {"userIdentity": "TypeError"}
    assert service.trail.failures == {"TypeError": 1}


def test_a_call_of_which_the_actor_is_not_found_out_is_recorded(service, caplog):
    def actor(scope):
        raise LookupError(scope["path"])

    service.app = AuditMiddleware(app(), service.trail, actor=actor)
    for _ in range(2):
        assert service.asgi("POST", "/orders/7", b'{"note":"n"}')[0] == 200
    assert service.trail.flush()
    assert service.trail.failures == {"LookupError": 2}
    assert caplog.text.count("recorded without userIdentity: LookupError") == 1
    assert len(service.post.records) == 2
    record = service.post.records[-1]
    assert record["requestParameters"] == {"order": "7", "note": "n"}
    assert record["userIdentity"]["type"] == "Unknown"
    assert record["additionalEventData"]["notRecorded"] == {"userIdentity": "LookupError"}


def test_a_call_whose_resources_are_not_found_out_is_recorded(service):
    service.app = AuditMiddleware(app(lambda said: [said["bucket"]]), service.trail)
    service.asgi("POST", "/orders/7", b"{}")
    assert service.trail.flush()
    [record] = service.post.records
    assert "resources" not in record
    assert record["requestParameters"] == {"order": "7"}
    assert record["additionalEventData"]["notRecorded"] == {"resources": "KeyError"}


def test_one_resource_needs_no_list(service):
    arn = "arn:example:orders:::7"
    service.app = AuditMiddleware(app(lambda _said: arn), service.trail)
    service.asgi("POST", "/orders/7", b"{}")
    assert service.record()["resources"] == [{"accountId": "123456789012", "ARN": arn}]


def test_resources_are_told_where_parameters_are_not(service):
    service.app = AuditMiddleware(
        app(lambda said: [f"arn:example:orders:::{said['order']}"]), service.trail, requests=False
    )
    service.asgi("POST", "/orders/7", b"{}")
    record = service.record()
    assert record["requestParameters"] is None
    assert record["resources"][0]["ARN"] == "arn:example:orders:::7"


def test_what_cannot_be_redacted_is_left_out_and_the_rest_recorded():
    def redact(value):
        raise ValueError(type(value))

    service = Service()
    service.trail.close()
    service.trail = recorder(service.post, redact_value=redact)
    service.app = AuditMiddleware(app(), service.trail)
    service.asgi("POST", "/orders/7", b'{"note":"very secret"}')
    service.asgi("POST", "/orders/7", b'{"note":"very secret","bad":true}')
    assert service.trail.flush()
    first, second = service.post.records
    marker = {"reason": "requestParameters not redacted", "omitted": True, "originalSize": 0}
    assert first["requestParameters"] == second["requestParameters"] == marker
    assert first["responseElements"]["reason"] == "responseElements not redacted"
    assert first["additionalEventData"]["notRecorded"] == {
        "requestParameters": "ValueError",
        "responseElements": "ValueError",
    }
    assert second["errorMessage"] == f"{HIDDEN} is bad"
    assert "very secret" not in json.dumps(service.post.records)
    service.trail.close()
