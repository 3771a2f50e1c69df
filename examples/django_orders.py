# SPDX-License-Identifier: Apache-2.0
"""A Django service, every call of which is recorded: ``python django_orders.py PORT``."""

import json
import sys
from contextlib import suppress
from wsgiref.simple_server import make_server

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path

from opentrail.sdk import audit_event


def health(request: HttpRequest) -> JsonResponse:
    """Answer; this is not recorded."""
    return JsonResponse({"path": request.path})


@audit_event(name="GetOrder")
def get_order(order_id: int) -> JsonResponse:
    """Find an order; there is none."""
    return JsonResponse({"message": f"no order {order_id}"}, status=404)


def orders(request: HttpRequest, order_id: int) -> JsonResponse:
    """Create an order, or look for it."""
    if request.method == "GET":
        return get_order(order_id)
    return JsonResponse({"orderId": order_id, "fields": sorted(json.loads(request.body))})


urlpatterns = [
    path("health", health),
    path("orders/<int:order_id>", orders, name="CreateOrder"),
]

settings.configure(
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["*"],
    SECRET_KEY="not-for-production",
    MIDDLEWARE=["opentrail.sdk.django.AuditMiddleware"],
    OPENTRAIL={
        "source": "orders.example.com",
        "actor": lambda request: request.headers.get("X-User"),
        "excluded": ["/health"],
    },
)

if __name__ == "__main__":
    with (
        make_server("127.0.0.1", int(sys.argv[1]), get_wsgi_application()) as server,
        suppress(KeyboardInterrupt),
    ):
        server.serve_forever()
