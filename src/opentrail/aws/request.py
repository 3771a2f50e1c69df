# SPDX-License-Identifier: Apache-2.0
"""What one observed HTTP request says: its head, its credential scope, its target."""

from collections.abc import Mapping

import msgspec


class RequestHead(msgspec.Struct, frozen=True, gc=False):
    """The first part of an HTTP request, as it arrived, or as ``aws.address`` takes it apart."""

    method: str
    path: str
    """Raw: percent-encoding untouched, begins with ``/``, no query."""
    query: str
    """Raw: percent-encoding untouched, without ``?``; empty when there is none."""
    headers: Mapping[str, str]
    """Names in lower case; values of a name that repeats are joined by commas (latin-1)."""


class Credential(msgspec.Struct, frozen=True, gc=False):
    """The SigV4 credential scope and signature of a request, parsed but NOT verified."""

    access_key_id: str
    date: str
    """``YYYYMMDD``."""
    region: str
    signing_name: str
    signed_headers: tuple[str, ...]
    signature: str
    session_token: str
    """Empty when there is none. Secret: never recorded, never logged."""
    presigned: bool = False

    def __repr__(self) -> str:
        return f"Credential({self.access_key_id!r}, {self.region!r}, {self.signing_name!r})"


class Target(msgspec.Struct, frozen=True, gc=False):
    """Which service and operation a request is for."""

    service: str
    """botocore's service directory ("sagemaker-featurestore-runtime"); empty when unknown."""
    event_source: str
    """As in the record: "sagemaker.amazonaws.com"."""
    operation: str
    """The model's operation name ("PutRecord"); empty when unknown."""
    protocol: str
    """"json", "rest-json", "query", "ec2", "rest-xml", "smithy-rpc-v2-cbor"; empty when unknown."""
    json_version: str = "1.1"
    """For protocol "json": the version that the client speaks, for errors in its own form."""
    known: bool = True
    """Whether the service models have the operation. When not, ``operation`` is the name as the
    client sent it (if it could be one) or empty."""
