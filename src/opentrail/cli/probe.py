# SPDX-License-Identifier: Apache-2.0
"""Asking a running server's unsigned endpoints, as an operator's command does."""

import http.client
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass

from opentrail.cli.env import client_host, host_and_port, last_server
from opentrail.config import Settings, split_address
from opentrail.eventlog.reader import SegmentReader

TIMEOUT_S = 5.0
"""A server that does not say how it is within this is not well."""
BYTES_MAX = 4 * 1024 * 1024
"""Metrics of a busy server have some 100 KB."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    """0: nothing did."""
    body: bytes = b""
    why: str = ""
    """Why nothing came."""

    def json(self) -> dict[str, object]:
        """Return the body as an object; {} when it is none."""
        try:
            found = json.loads(self.body)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


def url_of(settings: Settings) -> str:
    """Return where the server of ``settings`` listens."""
    host, port = split_address(settings.listen.address)
    scheme = "https" if settings.listen.tls_cert else "http"
    return f"{scheme}://{host_and_port(client_host(host), port)}"


def ask(settings: Settings, name: str) -> Answer:
    """Return what ``/_opentrail/NAME`` answers; no proxy is asked."""
    try:
        context = _trusting(settings.listen.tls_cert)
    except OSError as error:  # ssl.SSLError is one
        return Answer(0, why=f"listen.tls_cert {settings.listen.tls_cert}: {_reason(error)}")
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
    )
    url = f"{url_of(settings)}/_opentrail/{name}"
    try:
        with opener.open(url, timeout=TIMEOUT_S) as answer:
            return Answer(answer.status, answer.read(BYTES_MAX))
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.read(BYTES_MAX))
    except urllib.error.URLError as error:
        return Answer(0, why=_reason(error.reason))
    except (OSError, http.client.HTTPException) as error:
        return Answer(0, why=str(error) or type(error).__name__)


def no_answer(settings: Settings, answer: Answer) -> str:
    """Return in words that nothing answered; and where the directory's server may listen instead."""
    found = f"no answer at {url_of(settings)}: {answer.why}"
    there = last_server(settings)
    if not there or url_of(settings).endswith(f"//{there}"):
        return found
    return f"{found}; the last server of {settings.data_dir} listened on {there}"


def _trusting(certificate: str) -> ssl.SSLContext | None:
    """Return what trusts the server's own certificate; None: it has none. Raises: OSError."""
    if not certificate:
        return None
    context = ssl.create_default_context(cafile=certificate)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.check_hostname = False  # it may be for another name than the address
    return context


def _reason(error: BaseException | str) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)


def other_log(settings: Settings, health: Answer) -> str:
    """Return what is wrong where the server that answered has another log than the directory here.

    Raises: Unavailable: there is no log here. Corrupt.
    """
    said = health.json().get("log")
    reader = SegmentReader(settings.data_dir / "log")
    here = reader.log_id
    reader.close()
    if not isinstance(said, dict) or said.get("id", here) == here:
        return ""
    return f"{url_of(settings)} has another log than {settings.data_dir}"


def metrics_of(answer: Answer) -> dict[str, float]:
    """Return metrics by name and labels, as they are written."""
    found = {}
    for line in answer.body.decode("utf-8", "replace").splitlines():
        name, _, value = line.rpartition(" ")
        if name and not line.startswith("#"):
            try:
                found[name] = float(value)
            except ValueError:
                continue
    return found


def not_done(said: Mapping[str, object]) -> list[str]:
    """Return what the back process does not do, as health says it."""
    back = said.get("back")
    if not isinstance(back, dict):
        return []
    found = []
    if not back.get("up") and back.get("silent_s"):
        found.append(f"has not answered for {back['silent_s']} s: see the server's own log")
    still = back.get("stands_still")
    return found + [str(each) for each in (still if isinstance(still, list) else ())]
