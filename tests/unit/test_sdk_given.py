# SPDX-License-Identifier: Apache-2.0
"""What a program gives the SDK and cannot be meant is told at its start."""

from typing import Any

import pytest
from support.sdk_post import Listed

from opentrail.sdk import Recorder, audit_event
from opentrail.sdk.asgi import AuditMiddleware as AsgiMiddleware
from opentrail.sdk.wsgi import AuditMiddleware as WsgiMiddleware

SLIPS: Any = {"redacted": ["nickname"], "endpont": "http://audit"}


def app(*_):
    return ()


@pytest.fixture
def trail():
    with Recorder("orders.example.com", post=Listed()) as made:
        yield made


def test_a_recorder_takes_no_argument_that_it_does_not_have():
    with pytest.raises(TypeError, match=r"^Recorder has no endpont, redacted$"):
        Recorder("orders.example.com", **SLIPS)


@pytest.mark.parametrize("middleware", [AsgiMiddleware, WsgiMiddleware])
def test_middleware_takes_no_option_that_it_does_not_have(middleware, trail):
    with pytest.raises(TypeError, match=r"^AuditMiddleware has no exclude$"):
        middleware(app, trail, exclude=["/health"])


def test_one_text_is_no_list_of_names(trail):
    with pytest.raises(TypeError, match=r"redact='nickname' is one text: give a list"):
        Recorder("orders.example.com", post=Listed(), redact="nickname")
    with pytest.raises(TypeError, match=r"excluded='/health' is one text"):
        WsgiMiddleware(app, trail, excluded="/health")
    with pytest.raises(TypeError, match=r"redact='nickname' is one text"):
        audit_event(redact="nickname")


@pytest.mark.parametrize("account", ["12345678901", "1234567890123", "\u0661" * 12, 123456789012])
def test_an_account_has_twelve_digits(account):
    with pytest.raises(ValueError, match="is not twelve digits"):
        Recorder("orders.example.com", post=Listed(), account=account)


@pytest.mark.parametrize(("region", "good"), [("r" * 32, True), ("r" * 33, False), ("EU", False)])
def test_a_region_is_one_that_the_intake_takes(region, good):
    if good:
        Recorder("orders.example.com", post=Listed(), region=region).close()
        return
    with pytest.raises(ValueError, match="is not lower-case letters"):
        Recorder("orders.example.com", post=Listed(), region=region)


def test_variables_are_looked_at_too(monkeypatch):
    monkeypatch.setenv("OPENTRAIL_SDK_ACCOUNT", "my-account")
    with pytest.raises(ValueError, match="'my-account' is not twelve digits"):
        Recorder("orders.example.com", post=Listed())
