# SPDX-License-Identifier: Apache-2.0
"""What the middleware records of a service's calls, in four frameworks and in none."""

import asyncio
import gc
import json
import weakref
from typing import Annotated, Any

import pytest
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.test import RequestFactory
from fastapi import Body, FastAPI, HTTPException
from flask import Flask, request
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route
from support import django_urls
from support.sdk_service import Service

from opentrail.event.record import HIDDEN
from opentrail.sdk import audit_event
from opentrail.sdk.asgi import AuditMiddleware
from opentrail.sdk.body import BODY_BYTES_MAX
from opentrail.sdk.django import AuditMiddleware as DjangoMiddleware
from opentrail.sdk.wsgi import AuditMiddleware as WsgiMiddleware
from opentrail.sdk.wsgi import init_app


@pytest.fixture
def service():
    made = Service()
    yield made
    made.trail.close()


def fastapi_app() -> FastAPI:
    app = FastAPI()

    @app.post("/tenants/{tenant}/orders", operation_id="CreateOrder")
    async def create(tenant: str, order: dict[str, Any]):
        return {"orderId": order.get("id", "o-1"), "token": "t-1", "tenant": tenant}

    @app.get("/orders/{order_id}")
    @audit_event(resources=lambda p: [f"arn:aws:orders:::{p['order_id']}"], redact=("nickname",))
    async def get_order(order_id: str, nickname: str = ""):
        raise HTTPException(404, f"no order {order_id}{nickname and ''}")

    @app.post("/search")
    @audit_event(name="SearchOrders", read_only=True)
    async def search(words: Annotated[list[str], Body()]):
        return words

    @app.post("/broken")
    async def broken():
        raise RuntimeError("with a secret in it")

    @app.post("/quiet")
    @audit_event(record=False)
    async def quiet():
        return {}

    return app


@pytest.fixture
def orders(service):
    service.app = AuditMiddleware(
        fastapi_app(),
        service.trail,
        actor=lambda scope: scope and "mary",
        excluded=("/health", "/static/*"),
    )
    return service


def test_a_call_is_recorded_with_all_that_is_known(orders):
    body = {"sku": "a", "password": "p", "deep": [{"apiKey": "k"}], "tenant": "forged"}
    assert (
        orders.asgi("POST", "/tenants/acme/orders", json.dumps(body).encode(), b"dry=1")[0] == 200
    )
    record = orders.record()
    assert record["eventName"] == "CreateOrder"
    assert record["eventSource"] == "orders.example.com"
    assert record["requestParameters"] == {
        "tenant": "acme",
        "dry": "1",
        "sku": "a",
        "password": HIDDEN,
        "deep": [{"apiKey": HIDDEN}],
        "body.tenant": "forged",
    }
    assert record["responseElements"] == {"orderId": "o-1", "token": HIDDEN, "tenant": "acme"}
    assert record["userIdentity"]["userName"] == "mary"
    assert (record["sourceIPAddress"], record["userAgent"]) == ("192.0.2.7", "tester")
    assert (record["readOnly"], record["requestID"]) == (False, "r-1")
    assert record["additionalEventData"]["httpRoute"] == "/tenants/{tenant}/orders"
    assert "errorCode" not in record
    assert "resources" not in record


def test_a_read_that_fails_has_an_error_and_no_answer(orders):
    assert orders.asgi("GET", "/orders/7", query=b"nickname=x&a=1&a=2&p=%20q")[0] == 404
    record = orders.record()
    assert (record["eventName"], record["readOnly"]) == ("get_order", True)
    assert (record["errorCode"], record["errorMessage"]) == ("NotFound", "no order 7")
    assert record["responseElements"] is None
    assert record["requestParameters"] == {
        "order_id": "7",
        "nickname": HIDDEN,
        "a": ["1", "2"],
        "p": " q",
    }
    assert record["resources"] == [{"accountId": "123456789012", "ARN": "arn:aws:orders:::7"}]


def test_an_error_quotes_no_secret(service):
    async def sign_in(request):
        sent = await request.json()
        said = f"{sent['password']} is no good password of {sent['name']}"
        return JSONResponse({"message": said}, status_code=400)

    service.app = Starlette(routes=[Route("/in", sign_in, methods=["POST"])])
    service.app.add_middleware(AuditMiddleware, recorder=service.trail)
    service.asgi("POST", "/in", b'{"password":"very secret","name":"adam"}')
    record = service.record()
    assert record["errorMessage"] == f"{HIDDEN} is no good password of adam"
    assert "very secret" not in json.dumps(record)


def test_the_authors_word_counts(orders):
    orders.asgi("POST", "/search", b'["a", "b"]')
    record = orders.record()
    assert (record["eventName"], record["readOnly"]) == ("SearchOrders", True)
    assert record["requestParameters"] == {"body": ["a", "b"]}
    orders.asgi("POST", "/quiet")
    orders.asgi("GET", "/health")
    orders.asgi("GET", "/static/a/b.css")
    assert orders.trail.flush()
    assert len(orders.post.records) == 1
    assert orders.trail.counts["excluded"] == 3


def test_an_exception_is_recorded_by_its_name_alone(orders):
    with pytest.raises(RuntimeError):
        orders.asgi("POST", "/broken")
    record = orders.record()
    assert record["errorCode"] == "RuntimeError"
    assert "secret" not in json.dumps(record)


def test_a_call_that_no_route_takes_is_recorded_too(orders):
    assert orders.asgi("GET", "/nowhere")[0] == 404
    assert orders.record()["eventName"] == "UnknownOperation"


@pytest.mark.parametrize(
    ("body", "marker"),
    [
        (b'{"a":"' + b"x" * BODY_BYTES_MAX + b'"}', "requestParameters too large"),
        (b"[" * 30_000, "requestParameters not JSON"),
        (b"\xff\xfe", "requestParameters not JSON"),
        (b'{"a":1' + b"0" * 5000 + b"}", "requestParameters not JSON"),
    ],
)
def test_a_body_that_cannot_be_kept_gives_way_to_a_marker(orders, body, marker):
    orders.asgi("POST", "/tenants/acme/orders", body)
    said = orders.record()["requestParameters"]
    found = said["body"]
    assert (found["reason"], found["omitted"], found["originalSize"]) == (marker, True, len(body))


@pytest.mark.parametrize(
    ("body", "kind", "read"),
    [
        (b'{"a":NaN,"b":1}', b"application/json", {"a": "NaN", "b": 1}),
        (b'{"a":-Infinity}', b"application/json", {"a": "-Infinity"}),
        (b'{"a":1e999,"b":1.5}', b"application/json", {"a": "1e999", "b": 1.5}),
        (b'{"a":"\\ud800","password":"p"}', b"application/json", {"a": "?", "password": HIDDEN}),
        ('{"a":"ä"}'.encode("utf-16"), b"application/json", {"a": "ä"}),
        (b'\xef\xbb\xbf{"a":1}', b"application/json", {"a": 1}),
        (b'{"a":1}', b"Application/JSON", {"a": 1}),
        (b"a=1", b"Application/X-WWW-Form-URLencoded", {"a": "1"}),
    ],
)
def test_what_a_framework_reads_is_recorded(service, body, kind, read):
    async def order(request):
        return PlainTextResponse(str(len(await request.body())))

    service.app = AuditMiddleware(
        Starlette(routes=[Route("/order", order, methods=["POST"])]), service.trail
    )
    service.asgi("POST", "/order", body, headers=((b"content-type", kind),))
    assert service.record()["requestParameters"] == read


def test_a_deep_body_is_cut_off_where_the_server_would_refuse_it(orders):
    deep = b'{"a":' * 300 + b"1" + b"}" * 300
    orders.asgi("POST", "/tenants/acme/orders", deep)
    data = json.dumps(orders.record())
    assert "OMITTED_TOO_DEEP" in data
    assert data.count("{") < 60


def test_a_call_without_an_answer_is_no_success(service):
    async def silent(*asgi):
        await asgi[1]()

    service.app = AuditMiddleware(silent, service.trail)
    with pytest.raises(IndexError):
        service.asgi("POST", "/x")
    record = service.record()
    assert (record["errorCode"], record["responseElements"]) == ("NoResponse", None)


def test_starlette_and_streams(service):
    async def listed(request):
        del request

        async def pieces():
            for _ in range(3):
                yield b"x" * 40_000

        return StreamingResponse(pieces(), media_type="application/json")

    async def form(request):
        await request.body()
        return JSONResponse([1], status_code=201)

    async def plain(request):
        del request
        return PlainTextResponse("hi")

    routes = [
        Route("/list", listed, methods=["POST"]),
        Route("/form/{id}", form, methods=["POST"]),
        Route("/plain", plain, methods=["POST"]),
    ]
    app = Starlette(routes=routes)
    app.add_middleware(AuditMiddleware, recorder=service.trail, responses=True)
    service.app = app
    assert len(service.asgi("POST", "/list")[1]) == 120_000
    answer = service.record()["responseElements"]
    assert (answer["reason"], answer["originalSize"]) == ("responseElements too large", 120_000)
    form_type = (b"content-type", b"application/x-www-form-urlencoded")
    service.asgi("POST", "/form/9", b"a=1&b=%C3%A4&pin=1234", headers=(form_type,))
    record = service.record()
    assert record["eventName"] == "form"
    assert record["requestParameters"] == {"id": "9", "a": "1", "b": "ä", "pin": HIDDEN}
    assert record["responseElements"] == {"body": [1]}
    service.asgi("POST", "/plain", b"text", headers=())
    record = service.record()
    assert record["responseElements"]["reason"] == "responseElements not JSON"


def test_what_runs_after_the_answer_is_not_part_of_the_call(service):
    seen = []

    def later():
        seen.append(service.record()["eventName"])
        raise OSError("the task")

    async def order(request):
        del request
        return JSONResponse({}, background=BackgroundTask(later))

    app = Starlette(routes=[Route("/order", order, methods=["POST"])])
    app.add_middleware(AuditMiddleware, recorder=service.trail)
    service.app = app
    with pytest.raises(OSError, match="the task"):
        service.asgi("POST", "/order")
    assert seen == ["order"]
    assert "errorCode" not in service.record()
    assert len(service.post.records) == 1


def test_flask(service):
    app = Flask("orders")

    @app.post("/orders/<order_id>")
    def update(order_id):
        return {"orderId": order_id, "note": request.get_json()["note"]}

    @app.get("/orders/<order_id>")
    @audit_event(name="GetOrder")
    def get(order_id):
        return {"code": "NoSuchOrder", "message": f"no{order_id and ''}"}, 404

    init_app(app, service.trail, actor=lambda environ: environ["HTTP_X_USER"])
    service.app = app
    status, body = service.wsgi(
        "POST", "/orders/7", json={"note": "n"}, headers={"X-User": "joe"}, query_string="q=1"
    )
    assert (status, json.loads(body)) == ("200 OK", {"orderId": "7", "note": "n"})
    record = service.record()
    assert record["eventName"] == "update"
    assert record["requestParameters"] == {"order_id": "7", "q": "1", "note": "n"}
    assert record["responseElements"] == {"orderId": "7", "note": "n"}
    assert record["userIdentity"]["principalId"] == "joe"
    service.wsgi("GET", "/orders/8", headers={"X-User": "joe"})
    record = service.record()
    assert (record["eventName"], record["errorCode"]) == ("GetOrder", "NoSuchOrder")
    assert record["errorMessage"] == "no"


def test_wsgi_without_a_framework(service):
    def app(environ, start_response):
        lines = list(environ["wsgi.input"])
        start_response("200 OK", [("Content-Type", "application/json")])
        yield b'{"lines":'
        if environ["PATH_INFO"] == "/broken":
            raise OSError("gone")
        yield b"%d}" % len(lines)

    service.app = WsgiMiddleware(app, service.trail)
    service.wsgi("POST", "/x", json={"a": 1})
    record = service.record()
    assert record["eventName"] == "UnknownOperation"
    assert record["requestParameters"] == {"a": 1}
    assert record["responseElements"] == {"lines": 1}
    with pytest.raises(OSError, match="gone"):
        service.wsgi("POST", "/broken")
    assert service.record()["errorCode"] == "OSError"


def test_a_call_that_ended_needs_no_collection(service):
    class Answer:
        def __init__(self, start_response):
            self.start_response = start_response  # as many answers do, for errors that come late

        def __iter__(self):
            return iter([b"x"])

    def answering(environ, start_response):
        start_response("200 OK", [("X-Path", environ["PATH_INFO"])])
        return Answer(start_response)

    def started(_status, _headers):
        pass

    known = weakref.ref(started)
    call: Any = WsgiMiddleware(answering, service.trail)({"PATH_INFO": "/x"}, started)
    del started
    gc.disable()
    try:
        assert list(call) == [b"x"]
        call.close()
        del call
        assert known() is None
    finally:
        gc.enable()


def test_django(service, monkeypatch):
    django_urls.configure()
    monkeypatch.setattr(
        settings,
        "OPENTRAIL",
        {"recorder": service.trail, "actor": lambda r: r and {"type": "Root"}, "excluded": ["/up"]},
        raising=False,
    )
    service.app = get_wsgi_application()
    status, body = service.wsgi("POST", "/orders/7", json={"note": "n"})
    assert (status, json.loads(body)) == ("200 OK", {"orderId": 7})
    record = service.record()
    assert record["eventName"] == "update-order"
    assert record["requestParameters"] == {"order_id": 7, "note": "n"}
    assert record["responseElements"] == {"orderId": 7}
    assert record["userIdentity"] == {"type": "Root"}
    service.app = get_asgi_application()
    assert service.asgi("GET", "/named", headers=())[0] == 200
    assert service.record()["eventName"] == "NamedByItsAuthor"
    assert service.asgi("GET", "/nowhere", headers=())[0] == 404
    assert service.record()["errorCode"] == "NotFound"
    assert service.asgi("GET", "/up", headers=())[0] == 404
    assert service.trail.counts["excluded"] == 1

    async def left(request):
        raise asyncio.CancelledError(request.path)

    def ended(request):
        raise SystemExit(request.path)

    request = RequestFactory().post("/orders/8")
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(DjangoMiddleware(left)(request))
    assert service.record()["errorCode"] == "CancelledError"
    with pytest.raises(SystemExit):
        DjangoMiddleware(ended)(request)
    assert service.record()["errorCode"] == "SystemExit"
