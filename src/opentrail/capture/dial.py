# SPDX-License-Identifier: Apache-2.0
"""How an upstream is reached: its address, and the connection to it."""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from opentrail.capture.channel import TIMED_OUT, Channel, Unreachable

_UNREACHABLE = "the upstream cannot be reached"
_PORTS = {"http": 80, "https": 443}


@dataclass(slots=True)
class Dialled:
    """One upstream's address, worked out once."""

    url: str
    """Scheme, host and port; no path."""
    timeout_s: float
    """For the connection, TLS included."""
    host: str = field(init=False)
    port: int = field(init=False)
    host_header: bytes = field(init=False)
    """What Host says where the client said nothing."""
    tls: ssl.SSLContext | None = field(init=False)

    def __post_init__(self) -> None:
        split = urlsplit(self.url)
        self.host = split.hostname or ""
        self.port = split.port or _PORTS[split.scheme]
        self.host_header = split.netloc.rpartition("@")[2].encode()
        self.tls = ssl.create_default_context() if split.scheme == "https" else None


def request_target(dialled: Dialled, raw_target: str) -> bytes:
    """Return the request target that the other end of the connection wants to see."""
    del dialled
    return raw_target.encode("latin-1")


async def dial(dialled: Dialled, protocol: Callable[[], Channel]) -> Channel:
    """Return a new connection. Raises: Unreachable: nothing was sent."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(dialled.timeout_s):
            _, channel = await loop.create_connection(
                protocol, dialled.host, dialled.port, ssl=dialled.tls
            )
    except TimeoutError as error:
        raise Unreachable(TIMED_OUT) from error
    except OSError as error:
        raise Unreachable(_UNREACHABLE) from error
    return channel
