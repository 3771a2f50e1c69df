# SPDX-License-Identifier: Apache-2.0
"""What lies under /_opentrail/: health, metrics, reset, the intake, the search. Browsers are kept out."""

import asyncio
import functools
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Any
from urllib.parse import unquote

from opentrail.aws.request import RequestHead
from opentrail.capture.arrival import Arrival, RequestBody
from opentrail.capture.reply import Client

PREFIX = "/_opentrail/"
"""No AWS path begins so: bucket names have no underscore first."""
INTAKE_PATH = PREFIX + "intake"
"""Where records are sent to; signed."""
IMPORT_PATH = PREFIX + "import"
"""Where records of log files made elsewhere are sent to; signed."""
SEARCH_PATH = PREFIX + "search"
"""Where events are searched; signed."""
RESET_HEADER = "x-opentrail-reset"
"""A browser cannot send it across origins without asking first, and is refused when it asks."""


ADDRESS_CHARS_MAX = 72
"""Longer than every IPv6 address, with its zone, in brackets and with a port."""
ADDRESSES_CACHED = 256
"""Addresses by which this server is asked: a machine has a few."""
Door = Callable[[Arrival, RequestBody, Client], Awaitable[None]]
"""Answers one request, body and all."""
QuickDoor = Callable[[Arrival, RequestBody, Client], asyncio.Future[Any] | None]
"""Begins to answer a request, whose answer is sent when the future ends; None: only a ``Door`` can."""


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
    needs_header: str = ""

    async def asked(self, method: str, headers: Mapping[str, str]) -> Page:
        """Answer, if method and headers are right. HEAD asks as GET does, for no body."""
        if method != self.method and (method, self.method) != ("HEAD", "GET"):
            page = refusal(405, f"this endpoint takes {self.method}")
            return replace(page, allow=self.method)
        if self.needs_header and headers.get(self.needs_header) != "yes":
            return refusal(400, f"send the header {self.needs_header}: yes")
        return await self.answer()


class Operations:
    """Answers everything under ``/_opentrail/``."""

    def __init__(self, hosts: Sequence[str]) -> None:
        """``hosts``: names under which it may be asked, besides IP addresses and localhost.

        Any other name may be one that a page of a browser has led here (DNS rebinding).
        """
        self._hosts = frozenset(host.lower() for host in hosts) | {"localhost"}
        self._endpoints: Mapping[str, Endpoint] = {}
        self._doors: Mapping[str, Door] = {}
        self._quick_doors: Mapping[str, QuickDoor] = {}

    def open_doors(self, doors: Mapping[str, Door], quick: Mapping[str, QuickDoor]) -> None:
        """Have ``doors``, by path, answer what is sent to them, from now on; the ``quick`` ones first."""
        self._doors = doors
        self._quick_doors = quick

    def offer(self, endpoints: Mapping[str, Endpoint]) -> None:
        """Answer ``endpoints``, by name, from now on."""
        self._endpoints = endpoints

    def begin(
        self, arrival: Arrival, body: RequestBody, client: Client
    ) -> asyncio.Future[Any] | None:
        """Begin to answer one request, as a quick door does."""
        door = self._quick_doors.get(arrival.head.path)
        if door is None or self._refused(arrival.head) is not None:
            return None
        return door(arrival, body, client)

    async def handle(self, arrival: Arrival, body: RequestBody, client: Client) -> None:
        """Answer one request."""
        page = self._refused(arrival.head)
        door = self._doors.get(arrival.head.path)
        if page is None and door is not None:
            await door(arrival, body, client)
            return
        page = page or await self.answer(arrival.head)
        headers = [
            (b"content-type", page.content_type.encode()),
            (b"content-length", b"%d" % len(page.body)),
            (b"cache-control", b"no-store"),
            (b"x-content-type-options", b"nosniff"),
        ]
        if page.allow:
            headers.append((b"allow", page.allow.encode()))
        client.answer(page.status, headers, page.body)

    def abandoned(self) -> None:
        """Do nothing: these requests are not counted."""

    async def answer(self, head: RequestHead) -> Page:
        """Return what one request is answered with; none of the endpoints takes a body."""
        refused = self._refused(head)
        if refused is not None:
            return refused
        endpoint = self._endpoints.get(unquote(head.path).removeprefix(PREFIX))
        if endpoint is None:
            names = ", ".join(PREFIX + name for name in self._endpoints)
            return refusal(404, f"no such endpoint; there are: {names}")
        return await endpoint.asked(head.method, head.headers)

    def _refused(self, head: RequestHead) -> Page | None:
        """Return why nobody may ask so: browsers are kept out."""
        if "origin" in head.headers:
            return refusal(403, "pages of a browser may not ask here: the Origin header is refused")
        if not self._known(head.headers.get("host", "")):
            return refusal(
                403, "unknown Host: ask by address or localhost, or add the name to listen.hosts"
            )
        return None

    def _known(self, host: str) -> bool:
        if len(host) > ADDRESS_CHARS_MAX:
            return _name(host) in self._hosts
        name, address = _named(host)
        return address or name in self._hosts


def _name(host: str) -> str:
    """Return a Host without its port."""
    name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
    return name.strip("[]").lower()


@functools.lru_cache(maxsize=ADDRESSES_CACHED)
def _named(host: str) -> tuple[str, bool]:
    """Return a Host without its port, and whether it is an address."""
    name = _name(host)
    try:
        ip_address(name)
    except ValueError:
        return name, False
    return name, True
