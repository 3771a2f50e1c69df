# SPDX-License-Identifier: Apache-2.0
"""A service in this process, called as its server would, and what its middleware recorded."""

import asyncio
from typing import Any

from support.sdk_post import Listed, recorder
from werkzeug.test import create_environ, run_wsgi_app

from opentrail.sdk import Recorder

JSON = (b"content-type", b"application/json")


class Service:
    """An app under a middleware, and what it recorded."""

    def __init__(self) -> None:
        self.post = Listed()
        self.trail: Recorder = recorder(self.post)
        self.app: Any = None

    def asgi(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        query: bytes = b"",
        headers=(JSON,),
        more: bytes = b"",
    ) -> tuple[int, bytes]:
        """Call the app; return status and body. ``more`` of the request's body comes last."""
        messages: list[Any] = []

        pieces = [{"type": "http.request", "body": body, "more_body": bool(more)}]
        if more:
            pieces.insert(0, {"type": "http.request", "body": more, "more_body": False})

        async def receive():
            if not pieces:
                await asyncio.Event().wait()  # the client is still there
            return pieces.pop()

        async def send(message):
            messages.append(message)

        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query,
            "root_path": "",
            "headers": [*headers, (b"user-agent", b"tester"), (b"x-request-id", b"r-1")],
            "client": ("192.0.2.7", 5),
            "server": ("localhost", 80),
            "scheme": "http",
        }
        asyncio.run(self.app(scope, receive, send))
        return messages[0]["status"], b"".join(each.get("body", b"") for each in messages[1:])

    def wsgi(self, method: str, path: str, **more: Any) -> tuple[str, bytes]:
        answer, status, _ = run_wsgi_app(
            self.app, create_environ(path, method=method, **more), buffered=True
        )
        return status, b"".join(answer)

    def record(self) -> dict[str, Any]:
        """Return the last record."""
        assert self.trail.flush()
        assert not self.trail.failures
        return self.post.records[-1]
