# SPDX-License-Identifier: Apache-2.0
"""A small Django service."""

import json
from typing import Any

import django
from django.conf import settings
from django.http import JsonResponse
from django.urls import path
from django.views import View

from opentrail.sdk import audit_event


def update(request, order_id):
    assert json.loads(request.body)
    return JsonResponse({"orderId": order_id})


@audit_event(name="NamedByItsAuthor")
async def named(request):
    del request
    return JsonResponse({})


class Methods:
    def get(self, request):
        return JsonResponse({"nickname": request.GET["nickname"]})

    @audit_event(name="ChangeProfile", redact=["motto"])
    def post(self, request):
        return JsonResponse(json.loads(request.body))


Profile: Any = audit_event(redact=["nickname"])(type("Profile", (Methods, View), {}))


class Listed:
    """As the view sets of Django REST framework, whose views say which method does what."""

    @audit_event(name="CreateProfile", redact=["nickname"])
    def create(self, request):
        return JsonResponse(json.loads(request.body))


def listed(request):
    return Listed().create(request)


vars(listed).update(cls=Listed, actions={"post": "create"})


def upload(request):
    return JsonResponse({"files": len(request.FILES)})


urlpatterns = [
    path("upload", upload, name="upload"),
    path("profile", Profile.as_view(), name="profile"),
    path("listed", listed, name="listed"),
    path("orders/<int:order_id>", update, name="update-order"),
    path("named", named, name="named"),
]


def configure():
    """Have Django serve these, once for all tests of this process."""
    if not settings.configured:
        settings.configure(
            ROOT_URLCONF=__name__,
            MIDDLEWARE=["opentrail.sdk.django.AuditMiddleware"],
            ALLOWED_HOSTS=["*"],
            SECRET_KEY="only-for-tests",
            DEFAULT_CHARSET="utf-8",
        )
        django.setup()
