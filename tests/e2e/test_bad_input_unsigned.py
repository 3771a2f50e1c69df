# SPDX-License-Identifier: Apache-2.0
"""The endpoints that need no signature: no browser, no foreign name, no reset by accident."""

import json

import pytest
from support import raw_http, upstreams
from support.server import OpenTrail
from support.signing import lookup
from support.upstreams import Upstream

CONFIRM = (("X-OpenTrail-Reset", "yes"),)
ENDPOINTS = [("GET", "health"), ("GET", "metrics"), ("POST", "reset")]


@pytest.fixture(scope="module")
def upstream():
    with upstreams.upstream() as found:
        yield found


@pytest.fixture(scope="module")
def server(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory):
    config = '[listen]\nhosts = ["audit.example"]\ntrusted_proxies = ["10.0.0.0/8", "127.0.0.1"]\n'
    data = tmp_path_factory.mktemp("unsigned") / "data"
    with OpenTrail(data, "--allow-reset", upstream=upstream.url, config=config) as found:
        yield found
        assert found.failures() == ""


def ask(
    server: OpenTrail,
    method: str,
    path: str,
    host: str = "127.0.0.1:4540",
    headers: tuple[tuple[str, str], ...] = CONFIRM,
) -> raw_http.RawAnswer:
    """Ask one of the unsigned endpoints."""
    request = raw_http.request(f"/_opentrail/{path}", method=method, host=host, headers=headers)
    return raw_http.call(server.endpoint, request)


@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:4540"])
def test_an_origin_is_refused(server: OpenTrail, method: str, path: str, origin: str) -> None:
    before = server.health()["log"]["id"]
    answer = ask(server, method, path, headers=(*CONFIRM, ("Origin", origin)))
    assert answer.status == 403
    assert server.health()["log"]["id"] == before


@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example:4540",
        "",
        "evil.example:80",
    ],
)
def test_a_foreign_host_is_refused(server: OpenTrail, method: str, path: str, host: str) -> None:
    before = server.health()["log"]["id"]
    assert ask(server, method, path, host).status == 403
    assert server.health()["log"]["id"] == before


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:1", "127.0.0.1", "192.0.2.7:80", "[::1]:4540", "audit.example"]
)
def test_known_hosts_and_addresses_are_answered(server: OpenTrail, host: str) -> None:
    answer = ask(server, "GET", "health", host)
    assert (answer.status, json.loads(answer.body)["status"]) == (200, "ok")
    assert answer.header(b"cache-control") == [b"no-store"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "health", 405),
        ("GET", "reset", 405),
        ("GET", "", 404),
        ("GET", "nope", 404),
        ("GET", "../etc/passwd", 404),
        ("GET", "health/", 404),
    ],
)
def test_other_methods_and_paths(server: OpenTrail, method: str, path: str, status: int) -> None:
    assert ask(server, method, path).status == status


def test_a_reset_wants_its_header(server: OpenTrail) -> None:
    for headers in ((), (("X-OpenTrail-Reset", "no"),)):
        assert ask(server, "POST", "reset", headers=headers).status == 400


def test_metrics_have_prometheus_form(server: OpenTrail) -> None:
    answer = ask(server, "GET", "metrics")
    assert answer.header(b"content-type")[0].startswith(b"text/plain; version=0.0.4")
    assert b"# TYPE opentrail_calls_seen_total counter\n" in answer.body


def test_no_reset_unless_allowed(tmp_path) -> None:
    with OpenTrail(tmp_path / "data") as server:
        assert ask(server, "POST", "reset").status == 404


@pytest.mark.parametrize(
    ("forwarded", "recorded"),
    [
        (None, "127.0.0.1"),
        ("198.51.100.7", "198.51.100.7"),
        ("203.0.113.9, 198.51.100.7", "198.51.100.7"),
        ("203.0.113.9, 198.51.100.7, 10.1.2.3", "198.51.100.7"),
        ("10.9.9.9, 10.1.2.3", "10.9.9.9"),
        ("not an address", "127.0.0.1"),
        ("203.0.113.9, not an address, 10.1.2.3", "10.1.2.3"),
        ("2001:db8::1", "2001:db8::1"),
    ],
)
def test_behind_trusted_proxies_the_client_is_the_last_unknown_hop(
    server: OpenTrail, upstream: Upstream, forwarded: str | None, recorded: str
) -> None:
    headers = (("X-Forwarded-For", forwarded),) if forwarded is not None else ()
    upstream.script = upstreams.answer()
    request = raw_http.request("/b/k", method="GET", headers=headers)
    assert raw_http.call(server.endpoint, request).status == 200
    assert server.events()[-1]["sourceIPAddress"] == recorded
    sent = [value for name, value in upstream.last().headers() if name == b"x-forwarded-for"]
    assert sent == ([forwarded.encode()] if forwarded is not None else [])


def test_x_forwarded_for_from_strangers_is_hearsay(tmp_path, upstream: Upstream) -> None:
    with OpenTrail(tmp_path / "data", upstream=upstream.url) as server:
        headers = (("X-Forwarded-For", "198.51.100.7"),)
        raw_http.call(server.endpoint, raw_http.request("/b/k", method="GET", headers=headers))
        assert server.events()[-1]["sourceIPAddress"] == "127.0.0.1"


def test_a_reset_begins_a_new_log(server: OpenTrail) -> None:
    """Last in this module: nothing of before is left, and everything still works."""
    raw_http.call(server.endpoint, lookup(server.admin))
    before = server.health()["log"]["id"]
    answer = ask(server, "POST", "reset")
    assert answer.status == 200
    assert json.loads(answer.body)["log"]["id"] == server.health()["log"]["id"] != before
    assert server.events() == []
    found = server.lookup()
    assert [event["EventName"] for event in server.lookup()] == ["LookupEvents"] * (len(found) + 1)
    server.restart()
    assert len(server.events()) == 2
