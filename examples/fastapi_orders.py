# SPDX-License-Identifier: Apache-2.0
"""A FastAPI service, every call of which is recorded: ``python fastapi_orders.py PORT``."""

import sys
from typing import Any

import uvicorn
from fastapi import FastAPI, HTTPException

from opentrail.sdk import Recorder, audit_event
from opentrail.sdk.asgi import AuditMiddleware, Scope

app = FastAPI()


def who(scope: Scope) -> str | None:
    """Return who calls; a real service looks at its session or token."""
    user = dict(scope["headers"]).get(b"x-user")
    return user.decode() if user else None


@app.get("/health")
async def health() -> dict[str, str]:
    """Answer; this is not recorded."""
    return {"status": "ok"}


@app.post("/orders/{order_id}", operation_id="CreateOrder")
@audit_event(resources=lambda said: [f"arn:example:orders:::order/{said['order_id']}"])
async def create_order(order_id: str, order: dict[str, Any]) -> dict[str, Any]:
    """Create an order."""
    return {"orderId": order_id, "fields": sorted(order)}


@app.get("/orders/{order_id}", operation_id="GetOrder")
async def get_order(order_id: str) -> dict[str, str]:
    """Find an order; there is none."""
    raise HTTPException(404, f"no order {order_id}")


app.add_middleware(
    AuditMiddleware, recorder=Recorder("orders.example.com"), actor=who, excluded=["/health"]
)

if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), log_level="warning")
