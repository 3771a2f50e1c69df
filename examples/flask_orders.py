# SPDX-License-Identifier: Apache-2.0
"""A Flask service, every call of which is recorded: ``python flask_orders.py PORT``."""

import sys
from contextlib import suppress
from typing import Any
from wsgiref.simple_server import make_server

from flask import Flask, request

from opentrail.sdk import Recorder, audit_event
from opentrail.sdk.wsgi import init_app

app = Flask("orders")


@app.get("/health")
def health() -> dict[str, str]:
    """Answer; this is not recorded."""
    return {"status": "ok"}


@app.post("/orders/<order_id>", endpoint="CreateOrder")
def create_order(order_id: str) -> dict[str, Any]:
    """Create an order."""
    return {"orderId": order_id, "fields": sorted(request.get_json())}


@app.get("/orders/<order_id>")
@audit_event(name="GetOrder")
def get_order(order_id: str) -> tuple[dict[str, str], int]:
    """Find an order; there is none."""
    return {"message": f"no order {order_id}"}, 404


init_app(
    app,
    Recorder("orders.example.com"),
    actor=lambda environ: environ.get("HTTP_X_USER"),
    excluded=["/health"],
)

if __name__ == "__main__":
    with make_server("127.0.0.1", int(sys.argv[1]), app) as server, suppress(KeyboardInterrupt):
        server.serve_forever()
