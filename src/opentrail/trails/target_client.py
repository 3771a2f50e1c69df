# SPDX-License-Identifier: Apache-2.0
"""Calls of AWS-style services that trails use beside buckets: SNS, Logs, EventBridge, KMS, STS."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

import msgspec

from opentrail.clock import Clock
from opentrail.errors import ClientError, Unavailable
from opentrail.objects.driver import (
    KEY_REFUSED,
    ClientSpec,
    has_credentials,
    known_regions,
    make_client,
)
from opentrail.objects.s3 import CALL_ERRORS, mapped
from opentrail.trails.target_setting import TargetSetting

AWS = "aws"
"""As endpoint: AWS's own."""
SESSION_NAME = "OpenTrail"
EXPIRES_EARLY_S = 300
"""A role is assumed anew this long before its session ends."""

Answer = Mapping[str, object]
KindT = TypeVar("KindT")


@dataclass(frozen=True, slots=True)
class Service:
    """Who is called."""

    name: str
    """botocore's: "sns", "logs", "events", "kms", "sts"."""
    region: str
    role_arn: str = ""
    """Assumed for the call, where there is an STS."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where services are, and what signs when nothing else is configured."""

    upstreams: Mapping[str, str] = field(default_factory=dict)
    """Service -> URL of its upstream."""
    key: tuple[str, str] = field(default=("", ""), repr=False)
    """Access key id and secret, which an emulator takes."""
    regions: tuple[str, ...] = ()
    """The server's own, which may be none of AWS's."""


class _Credentials(msgspec.Struct, rename="pascal"):
    access_key_id: str
    secret_access_key: str
    session_token: str
    expiration: datetime

    def __repr__(self) -> str:
        return "_Credentials()"


class _Assumed(msgspec.Struct, rename="pascal"):
    credentials: _Credentials


class Clients:
    """Clients by service, region and role. Safe from several threads."""

    def __init__(self, setting: TargetSetting, endpoints: Endpoints, clock: Clock) -> None:
        self._setting = setting
        self._endpoints = endpoints
        self._clock = clock
        self._lock = threading.Lock()
        self._clients: dict[Service, tuple[object, float]] = {}
        """With the time, in seconds since 1970, until which each may be used."""

    def has(self, service: str) -> bool:
        """Return whether it is known where ``service`` is."""
        return bool(self._setting.endpoint or self._endpoints.upstreams.get(service))

    def is_region(self, region: str) -> bool:
        """Return whether there is such a region: any call may claim one that is not there."""
        return region in self._endpoints.regions or region in known_regions()

    def call(self, service: Service, operation: str, **arguments: object) -> Answer:
        """Call an operation, in botocore's spelling ("put_events").

        Raises: ClientError: with the service's own code. Unavailable: the outcome is unknown.
        """
        client = self._client(service)
        try:
            answer: Answer = getattr(client, operation)(**arguments)
        except CALL_ERRORS as error:
            found = mapped(error, service.name)
            if isinstance(found, ClientError) and found.code in KEY_REFUSED:
                self._forget(service)
            raise found from error
        return answer

    def _forget(self, service: Service) -> None:
        """Let the next call make a client anew: the key may have been rotated."""
        with self._lock:
            self._clients.pop(service, None)

    def _client(self, service: Service) -> object:
        now_s = self._clock.now_ms() / 1000
        with self._lock:
            client, until_s = self._clients.get(service, (None, 0.0))
        if client is None or now_s > until_s:
            client, until_s = self._make(service)
            with self._lock:
                self._clients[service] = client, until_s
        return client

    def _make(self, service: Service) -> tuple[object, float]:
        endpoint = self._setting.endpoint or self._endpoints.upstreams.get(service.name, "")
        if not endpoint:
            message = f"It is not known where {service.name} is: there is no upstream for it."
            raise ClientError("NotConfigured", message)
        key, until_s = ("", "", ""), float("inf")
        if service.role_arn and self.has("sts"):
            assumed = self._assume(service)
            key = assumed.access_key_id, assumed.secret_access_key, assumed.session_token
            until_s = assumed.expiration.timestamp() - EXPIRES_EARLY_S
        elif not self._setting.credentials_profile and not has_credentials(""):
            key = (*self._endpoints.key, "")
        spec = ClientSpec(
            service.name,
            service.region,
            "" if endpoint == AWS else endpoint,
            self._setting.credentials_profile,
            self._setting.ca,
            key=key,
        )
        return make_client(spec), until_s

    def _assume(self, service: Service) -> _Credentials:
        sts = Service("sts", service.region)
        answer = self.call(
            sts, "assume_role", RoleArn=service.role_arn, RoleSessionName=SESSION_NAME
        )
        return answer_as(answer, _Assumed, "sts").credentials


def answer_as(answer: Answer, kind: type[KindT], who: str) -> KindT:
    """Return what ``who`` answered. Raises: Unavailable: it is of no form that is known."""
    try:
        return msgspec.convert(answer, kind)
    except msgspec.ValidationError as error:
        # Its text names members and types, never what they are.
        raise Unavailable(f"{who} answered in no form that is known: {error}") from error
