# SPDX-License-Identifier: Apache-2.0
"""A Starlette service, every call of which is recorded: ``python starlette_orders.py PORT``."""

import sys

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from opentrail.sdk import Recorder, audit_event
from opentrail.sdk.asgi import AuditMiddleware, Scope


def who(scope: Scope) -> str | None:
    """Return who calls; a real service looks at its session or token."""
    user = dict(scope["headers"]).get(b"x-user")
    return user.decode() if user else None


async def health(request: Request) -> JSONResponse:
    """Answer; this is not recorded."""
    return JSONResponse({"path": request.url.path})


@audit_event(name="CreateOrder")
async def create_order(request: Request) -> JSONResponse:
    """Create an order."""
    order = await request.json()
    return JSONResponse({"orderId": request.path_params["order_id"], "fields": sorted(order)})


@audit_event(name="GetOrder")
async def get_order(request: Request) -> JSONResponse:
    """Find an order; there is none."""
    return JSONResponse({"detail": f"no order {request.path_params['order_id']}"}, 404)


app = Starlette(
    routes=[
        Route("/health", health),
        Route("/orders/{order_id}", create_order, methods=["POST"]),
        Route("/orders/{order_id}", get_order),
    ],
    middleware=[
        Middleware(
            AuditMiddleware,
            recorder=Recorder("orders.example.com"),
            actor=who,
            excluded=["/health"],
        )
    ],
)

if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), log_level="warning")
