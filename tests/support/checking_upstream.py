# SPDX-License-Identifier: Apache-2.0
"""An upstream that answers what is signed well, by the book and by nobody's library.

IAM User Guide, "Create a signed AWS API request": services other than S3 encode the path once more.
"""

import hashlib
import hmac
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote, unquote

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request,"
    r" ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})"
)


@dataclass
class Checking:
    """The upstream, and the targets that it answered."""

    url: str
    answered: list[str] = field(default_factory=list)


def is_signed(
    method: str, target: str, headers: Mapping[str, str], body: bytes, secrets: Mapping[str, str]
) -> bool:
    """Whether one of ``secrets`` (by key id) signed just this; headers by name in lower case."""
    found = _AUTHORIZATION.fullmatch(headers.get("authorization", ""))
    if found is None or found[1] not in secrets:
        return False
    key_id, day, region, service, names, signature = found.groups()
    path, _, query = target.partition("?")
    lines = [
        method,
        quote(path, safe="/-_.~"),
        _query(query),
        *(f"{name}:{' '.join(headers.get(name, '').split())}" for name in names.split(";")),
        "",
        names,
        hashlib.sha256(body).hexdigest(),
    ]
    canonical = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    scope = f"{day}/{region}/{service}/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{headers['x-amz-date']}\n{scope}\n{canonical}"
    key = b"AWS4" + secrets[key_id].encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    is_covered = {"host", "x-amz-date"} <= set(names.split(";"))
    return is_covered and hmac.digest(key, text.encode(), "sha256").hex() == signature


def _query(query: str) -> str:
    pairs = [pair.partition("=")[::2] for pair in query.split("&") if pair]
    encoded = [tuple(quote(unquote(text), safe="-_.~") for text in pair) for pair in pairs]
    return "&".join("=".join(pair) for pair in sorted(encoded))


@contextmanager
def checking_upstream(secrets: Mapping[str, str]) -> Iterator[Checking]:
    """Yield a running one that knows ``secrets``, by key id. What is signed otherwise gets 403."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", "0")))
            good = is_signed(self.command, self.path, headers, body, secrets)
            if good:
                made.answered.append(f"{self.command} {self.path}")
            said = b"{}" if good else json.dumps({"message": "not signed so"}).encode()
            self.send_response(200 if good else 403)
            if not good:
                self.send_header("x-amzn-errortype", "SignatureDoesNotMatch")
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def __getattr__(self, name: str) -> Callable[[], None]:
            """Answer every method: ``do_GET`` and so on."""
            if name.startswith("do_"):
                return self._answer
            raise AttributeError(name)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        made = Checking(f"http://localhost:{listening.server_address[1]}")
        thread = threading.Thread(target=listening.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield made
        finally:
            listening.shutdown()
            thread.join()
