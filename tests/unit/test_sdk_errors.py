# SPDX-License-Identifier: Apache-2.0
"""What a service's own error answers say, as errorCode and errorMessage."""

import json

import pytest
from starlette.responses import JSONResponse
from support.sdk_service import Service

from opentrail.event.record import HIDDEN
from opentrail.sdk.asgi import AuditMiddleware


@pytest.mark.parametrize(
    ("answer", "code", "message"),
    [
        ({"code": "NoOrder", "message": "none"}, "NoOrder", "none"),
        (
            {"error": "invalid_grant", "error_description": "it is over"},
            "invalid_grant",
            "it is over",
        ),
        ({"error": "Invalid token very-secret"}, "Forbidden", f"Invalid token {HIDDEN}"),
        ({"error": "Not so", "code": "E1"}, "E1", "Not so"),
        ({"error": "Not so", "message": "said"}, "Forbidden", "said"),
        ({"error": {"code": "E2", "message": "no very-secret"}}, "E2", f"no {HIDDEN}"),
        ({"error": {"code": 403, "message": "m"}}, "Forbidden", "m"),
        ({"detail": "d"}, "Forbidden", "d"),
        ({"detail": {"code": "E3", "message": "no very-secret"}}, "E3", f"no {HIDDEN}"),
        ([1], "Forbidden", None),
    ],
)
def test_code_and_message(answer, code, message):
    async def app(scope, receive, send):
        await receive()
        await JSONResponse(answer, status_code=403)(scope, receive, send)

    service = Service()
    service.app = AuditMiddleware(app, service.trail)
    service.asgi("POST", "/in", b'{"token":"very-secret","otp":"123456"}')
    record = service.record()
    assert (record["errorCode"], record.get("errorMessage")) == (code, message)
    assert record["requestParameters"] == {"token": HIDDEN, "otp": HIDDEN}
    assert "very-secret" not in json.dumps(record)
    service.trail.close()
