# SPDX-License-Identifier: Apache-2.0
"""A small Django service."""

import json

from django.http import JsonResponse
from django.urls import path

from opentrail.sdk import audit_event


def update(request, order_id):
    assert json.loads(request.body)
    return JsonResponse({"orderId": order_id})


@audit_event(name="NamedByItsAuthor")
async def named(request):
    del request
    return JsonResponse({})


urlpatterns = [
    path("orders/<int:order_id>", update, name="update-order"),
    path("named", named, name="named"),
]
