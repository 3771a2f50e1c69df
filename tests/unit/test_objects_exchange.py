# SPDX-License-Identifier: Apache-2.0
"""Exchanges with a server that answers nonsense, sends elsewhere, or never ends: each one ends."""

import contextlib
import socket
import threading
from contextlib import contextmanager
from typing import cast

import pytest
from support.open_buckets import SettableClock

from opentrail.errors import ClientError, Unavailable
from opentrail.front.backend import ANSWER_TIMEOUT_S
from opentrail.objects import exchange
from opentrail.objects.base import Put
from opentrail.objects.driver import ATTEMPTS_MAX, READ_TIMEOUT_S, ClientSpec, make_client
from opentrail.objects.s3 import S3Bucket, S3Client
from opentrail.trails.target_client import Clients, Endpoints, Service
from opentrail.trails.target_setting import TargetSetting

RETRY_DELAY_S_MAX = 1.0
"""Before the second attempt of botocore's standard mode."""
PUT = b'HTTP/1.1 200 OK\r\nETag: "00"\r\nContent-Length: 0\r\n\r\n'


def page(status, body=b"", headers=b""):
    head = b"HTTP/1.1 %s\r\nContent-Length: %d\r\n%s\r\n" % (status, len(body), headers)
    return head + body


def refusal(code):
    return b"<?xml version='1.0'?><Error><Code>%s</Code><Message>no</Message></Error>" % code


class Tarpit:
    """Answers each request with some bytes; then hangs up, or goes on with one now and then."""

    def __init__(self, server):
        self.server, self.answer, self.drips = server, b"", False
        self.late_s = 0.0
        self.asked = []
        self.gone = threading.Event()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.getsockname()[1]}"

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.server.accept()
                threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection, contextlib.suppress(OSError):
            self.asked.append(connection.recv(65536).split(b"\r\n")[0])
            self.gone.wait(self.late_s)
            connection.sendall(self.answer)
            while self.drips and not self.gone.wait(0.02):
                connection.sendall(b"x")
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                """Let the client read first."""


@pytest.fixture
def tarpit():
    with socket.create_server(("127.0.0.1", 0)) as server:
        found = Tarpit(server)
        thread = threading.Thread(target=found.run)
        thread.start()
        yield found
        found.gone.set()
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def bucket(url):
    client = make_client(ClientSpec("s3", "us-east-1", url, key=("AKIAX", "s", "")))
    return S3Bucket(cast("S3Client", client), "logs")


def put(url, size=9):
    bucket(url).put("AWSLogs/k", b"x" * size, Put())


def acl(url):
    bucket(url).acl_readable()


@contextmanager
def time_is_short(monkeypatch):
    monkeypatch.setattr(exchange, "EXCHANGE_S_MAX", 0.2)
    monkeypatch.setattr(exchange, "HANG_UP_EVERY_S", 0.05)
    yield


@pytest.mark.parametrize("asks", [put, acl])
@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (page(b"301 Moved", refusal(b"PermanentRedirect")), "PermanentRedirect"),
        (page(b"307 Temporary Redirect", refusal(b"TemporaryRedirect")), "TemporaryRedirect"),
        (page(b"307 Temporary Redirect", b"", b"Location: http://127.0.0.1:9/\r\n"), "307"),
        (page(b"302 Found", b"<html>log in</html>", b"Location: https://sso/\r\n"), "302"),
    ],
)
def test_a_server_that_sends_elsewhere_without_saying_where_refuses(tarpit, asks, answer, code):
    """It was asked where for as long as the stack lasts, and the error ended whoever delivers."""
    tarpit.answer = answer
    with pytest.raises(ClientError) as refused:
        asks(tarpit.url)
    assert refused.value.code == code
    assert len(tarpit.asked) == 2


def test_a_server_that_says_which_region_is_asked_in_its_name(tarpit):
    where = b"x-amz-bucket-region: eu-west-1\r\n"
    tarpit.answer = page(b"301 Moved", refusal(b"PermanentRedirect"), where)
    with pytest.raises(ClientError, match="PermanentRedirect"):
        put(tarpit.url)
    assert [line.split()[0] for line in tarpit.asked] == [b"PUT", b"PUT"]


def test_a_connection_that_ends_within_100_continue_is_no_answer(tarpit):
    tarpit.answer = b"HTTP/1.1 100 Continue\r\n"
    with pytest.raises(Unavailable):
        put(tarpit.url)
    assert len(tarpit.asked) == ATTEMPTS_MAX
    tarpit.answer = b"HTTP/1.1 100 Continue\r\nConnection: keep-alive\r\n\r\n" + PUT
    put(tarpit.url)


@pytest.mark.parametrize("asks", [put, acl])
@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 100 Continue\r\nX: ", PUT[:-4] + b"\r\nX: "])
def test_an_answer_that_never_ends_is_none(tarpit, asks, begun, monkeypatch):
    """Each byte comes in time."""
    tarpit.answer, tarpit.drips = begun, True
    with time_is_short(monkeypatch), pytest.raises(Unavailable, match="timeout"):
        asks(tarpit.url)
    assert len(tarpit.asked) == ATTEMPTS_MAX


def test_a_body_that_never_ends_is_none(tarpit, monkeypatch):
    tarpit.answer, tarpit.drips = b"HTTP/1.1 200 OK\r\n\r\n{", True
    clients = Clients(
        TargetSetting(endpoint=tarpit.url), Endpoints({}, ("A", "s")), SettableClock()
    )
    with time_is_short(monkeypatch), pytest.raises(Unavailable, match="timeout"):
        clients.call(Service("logs", "us-east-1"), "describe_log_groups")


def test_what_is_long_may_take_longer(tarpit, monkeypatch):
    tarpit.answer, tarpit.late_s = PUT, 0.6
    with time_is_short(monkeypatch):
        with pytest.raises(Unavailable, match="timeout"):
            put(tarpit.url)
        put(tarpit.url, exchange.SENT_BYTES_S_MIN * 9)


def test_who_asked_hears_of_the_silence_before_nobody_waits_any_more():
    assert ATTEMPTS_MAX * READ_TIMEOUT_S + RETRY_DELAY_S_MAX < ANSWER_TIMEOUT_S
