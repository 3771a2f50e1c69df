# SPDX-License-Identifier: Apache-2.0
"""Answers that middleware further in has gzipped are recorded as what they say."""

import gzip
import json

import pytest
from django.conf import settings
from django.http import HttpResponse
from django.test import RequestFactory
from support import django_urls
from support.sdk_service import JSON, Service

from opentrail.sdk.asgi import AuditMiddleware
from opentrail.sdk.body import Body
from opentrail.sdk.django import AuditMiddleware as DjangoMiddleware
from opentrail.sdk.wsgi import AuditMiddleware as WsgiMiddleware

SAID = {"orderId": 7}
PACKED = gzip.compress(json.dumps(SAID).encode())


@pytest.fixture
def service():
    made = Service()
    yield made
    made.trail.close()


def test_asgi(service):
    async def app(scope, receive, send):
        await receive()
        headers = [(b"Content-Encoding", b"gzip"), JSON]
        assert scope
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": PACKED})

    service.app = AuditMiddleware(app, service.trail)
    service.asgi("POST", "/orders")
    assert service.record()["responseElements"] == SAID


def test_wsgi(service):
    def app(environ, start_response):
        assert environ
        start_response(
            "200 OK", [("Content-Type", "application/json"), ("Content-Encoding", "gzip")]
        )
        return [PACKED[:9], PACKED[9:]]

    service.app = WsgiMiddleware(app, service.trail)
    service.wsgi("POST", "/orders")
    assert service.record()["responseElements"] == SAID


def test_django(service, monkeypatch):
    django_urls.configure()
    monkeypatch.setattr(settings, "OPENTRAIL", {"recorder": service.trail}, raising=False)

    def answered(request):
        assert request
        more = {"Content-Encoding": "gzip"}
        return HttpResponse(PACKED, content_type="application/json", headers=more)

    DjangoMiddleware(answered)(RequestFactory().post("/orders"))
    assert service.record()["responseElements"] == SAID


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (gzip.compress(b'["%s"]' % (b"x" * 96)), None),
        (gzip.compress(b'["%s"]' % (b"x" * 97)), "responseElements too large"),
        (PACKED[:-9], "responseElements too large"),
        (b"of another coding", "responseElements not JSON"),
    ],
    ids=["as-long-as-may-be", "longer", "cut-short", "not-gzip"],
)
def test_what_is_unpacked_has_a_bound(said, reason):
    body = Body("application/json", 100, "gzip")
    body.feed(said)
    found = body.value("responseElements")
    assert (found["reason"] if isinstance(found, dict) else None) == reason


def test_a_coding_that_is_none_changes_nothing():
    body = Body("application/json", 100, "identity")
    body.feed(b"[1]")
    assert body.value("responseElements") == [1]
