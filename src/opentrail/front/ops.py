# SPDX-License-Identifier: Apache-2.0
"""The unsigned endpoints: health, metrics, reset. Browsers are kept out (DNS rebinding)."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address

from opentrail.capture.arrival import Receive, Scope, Send

PREFIX = "/_opentrail/"
"""No AWS path begins so: bucket names have no underscore first."""
RESET_HEADER = b"x-opentrail-reset"
"""A browser cannot send it across origins without asking first, and is refused when it asks."""


@dataclass(frozen=True, slots=True)
class Page:
    """What an endpoint answers."""

    status: int
    body: bytes
    content_type: str = "application/json"
    allow: str = ""
    """With a 405: the method to use instead (RFC 9110, 15.5.6)."""


def json_page(status: int, content: Mapping[str, object]) -> Page:
    """Return a JSON answer."""
    return Page(status, json.dumps(content).encode() + b"\n")


def refusal(status: int, message: str) -> Page:
    """Return an error that says what to change."""
    return json_page(status, {"error": message})


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One path: its method, and what answers."""

    method: str
    answer: Callable[[], Awaitable[Page]]
    needs_header: bytes = b""

    async def asked(self, method: str, headers: Mapping[bytes, bytes]) -> Page:
        """Answer, if method and headers are right."""
        if method != self.method:
            page = refusal(405, f"this endpoint takes {self.method}")
            return replace(page, allow=self.method)
        if self.needs_header and headers.get(self.needs_header) != b"yes":
            return refusal(400, f"send the header {self.needs_header.decode()}: yes")
        return await self.answer()


class Operations:
    """The ASGI app of everything under ``/_opentrail/``."""

    def __init__(self, hosts: Sequence[str], endpoints: Mapping[str, Endpoint]) -> None:
        """``hosts``: names under which it may be asked, besides IP addresses and localhost."""
        self._hosts = frozenset(host.lower() for host in hosts) | {"localhost"}
        self._endpoints = endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        del receive  # none of the endpoints takes a body
        page = await self._answer(scope)
        headers = [
            (b"content-type", page.content_type.encode()),
            (b"content-length", str(len(page.body)).encode()),
            (b"cache-control", b"no-store"),
            (b"x-content-type-options", b"nosniff"),
        ]
        if page.allow:
            headers.append((b"allow", page.allow.encode()))
        await send({"type": "http.response.start", "status": page.status, "headers": headers})
        await send({"type": "http.response.body", "body": page.body})

    async def _answer(self, scope: Scope) -> Page:
        headers = dict(scope["headers"])
        if b"origin" in headers:
            return refusal(403, "pages of a browser may not ask here: the Origin header is refused")
        if not self._known(headers.get(b"host", b"").decode("latin-1")):
            return refusal(
                403, "unknown Host: ask by address or localhost, or add the name to listen.hosts"
            )
        endpoint = self._endpoints.get(scope["path"].removeprefix(PREFIX))
        if endpoint is None:
            names = ", ".join(PREFIX + name for name in self._endpoints)
            return refusal(404, f"no such endpoint; there are: {names}")
        return await endpoint.asked(scope["method"], headers)

    def _known(self, host: str) -> bool:
        name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
        name = name.strip("[]").lower()
        try:
            ip_address(name)
        except ValueError:
            return name in self._hosts
        return True
