# SPDX-License-Identifier: Apache-2.0
"""``@audit_event`` on classes of methods and on their methods, in each framework that has them."""

import io
import json

import pytest
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from flask import Flask, request
from flask.views import MethodView
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route
from support import django_urls
from support.sdk_service import Service

from opentrail.event.record import HIDDEN
from opentrail.sdk import audit_event
from opentrail.sdk.asgi import AuditMiddleware
from opentrail.sdk.wsgi import AuditMiddleware as WsgiMiddleware
from opentrail.sdk.wsgi import init_app

SENT = {"nickname": "nick", "motto": "none"}


@pytest.fixture
def service():
    made = Service()
    yield made
    made.trail.close()


def test_starlette(service):
    @audit_event(redact=["nickname"])
    class Profile(HTTPEndpoint):
        async def get(self, request):
            return JSONResponse(dict(request.query_params))

        @audit_event(name="ChangeProfile", redact=["motto"])
        async def post(self, request):
            return JSONResponse(await request.json())

        @audit_event(record=False)
        async def delete(self, request):
            return JSONResponse(request.url.path)

    service.app = AuditMiddleware(Starlette(routes=[Route("/profile", Profile)]), service.trail)
    for method in ("GET", "HEAD"):
        assert service.asgi(method, "/profile", query=b"nickname=nick")[0] == 200
        record = service.record()
        assert record["eventName"] == "Profile"
        assert record["requestParameters"] == {"nickname": HIDDEN}
    assert service.asgi("POST", "/profile", json.dumps(SENT).encode())[0] == 200
    record = service.record()
    assert record["eventName"] == "ChangeProfile"
    assert record["requestParameters"] == {"nickname": "nick", "motto": HIDDEN}
    assert record["responseElements"] == {"nickname": "nick", "motto": HIDDEN}
    assert service.asgi("DELETE", "/profile")[0] == 200
    assert service.trail.flush()
    assert len(service.post.records) == 3


def test_an_app_that_is_mounted_is_no_operation(service):
    async def make(_request):
        return JSONResponse({})

    shop = Starlette(routes=[Route("/orders", make, methods=["POST"])])
    service.app = AuditMiddleware(Starlette(routes=[Mount("/shop", shop)]), service.trail)
    assert service.asgi("POST", "/shop/orders")[0] == 200
    assert service.record()["eventName"] == "make"
    assert service.asgi("POST", "/shop/none")[0] == 404
    assert service.record()["eventName"] == "UnknownOperation"


def check_profile(service):
    """See that the view's two methods have names and secrets of their own."""
    service.wsgi("GET", "/profile", query_string="nickname=nick")
    record = service.record()
    assert record["eventName"] == "profile"
    assert record["requestParameters"] == {"nickname": HIDDEN}
    service.wsgi("POST", "/profile", json=SENT)
    record = service.record()
    assert record["eventName"] == "ChangeProfile"
    assert record["requestParameters"] == {"nickname": "nick", "motto": HIDDEN}


@pytest.mark.parametrize("wrapped", [False, True])
def test_flask(service, wrapped):
    class Profile(MethodView):
        @audit_event(redact=["nickname"])
        def get(self):
            return request.args

        @audit_event(name="ChangeProfile", redact=["motto"])
        def post(self):
            return request.get_json()

    app = Flask("orders")
    app.add_url_rule("/profile", view_func=Profile.as_view("profile"))
    if wrapped:
        vars(app)["wsgi_app"] = WsgiMiddleware(app.wsgi_app, service.trail)
    else:
        init_app(app, service.trail)
    service.app = app
    check_profile(service)


def test_a_werkzeug_app_that_is_none_of_flasks_has_its_endpoints_name(service):
    class Request:
        endpoint = "order"

    def app(environ, start_response):
        environ["werkzeug.request"] = Request
        start_response("200 OK", [])
        return [b"x"]

    service.app = WsgiMiddleware(app, service.trail)
    service.wsgi("GET", "/order")
    assert service.record()["eventName"] == "order"


def test_django(service, monkeypatch):
    django_urls.configure()
    monkeypatch.setattr(settings, "OPENTRAIL", {"recorder": service.trail}, raising=False)
    service.app = get_wsgi_application()
    check_profile(service)
    service.wsgi("POST", "/listed", json=SENT)
    record = service.record()
    assert record["eventName"] == "CreateProfile"
    assert record["requestParameters"] == {"nickname": HIDDEN, "motto": "none"}
    assert record["responseElements"] == {"nickname": HIDDEN, "motto": "none"}

    service.wsgi("POST", "/upload", data={"note": "n", "file": (io.BytesIO(b"f"), "f.txt")})
    record = service.record()
    assert record["responseElements"] == {"files": 1}
    marker = record["requestParameters"]["body"]
    assert marker["omitted"]
    assert marker["originalSize"] > 100


def test_litestar(service):
    """Its scope as it is; the framework itself is not needed for that."""

    class Profile:
        @audit_event(redact=["nickname"])
        async def change(self):
            pass

    class Handler:
        fn = Profile().change
        operation_id: object = None

    async def app(scope, receive, send):
        scope |= {"route_handler": Handler, "path_template": "/profile/{user:str}"}
        scope["path_params"] = {"user": "u-1"}
        await JSONResponse({"nickname": "nick"})(scope, receive, send)

    service.app = AuditMiddleware(app, service.trail)
    service.asgi("POST", "/profile/u-1")
    record = service.record()
    assert record["eventName"] == "change"
    assert record["requestParameters"] == {"user": "u-1"}
    assert record["responseElements"] == {"nickname": HIDDEN}
    assert record["additionalEventData"]["httpRoute"] == "/profile/{user:str}"
    Handler.operation_id = "ChangeProfile"
    service.asgi("POST", "/profile/u-1")
    assert service.record()["eventName"] == "ChangeProfile"
    Handler.operation_id = str  # a callable that makes one
    service.asgi("POST", "/profile/u-1")
    assert service.record()["eventName"] == "change"
