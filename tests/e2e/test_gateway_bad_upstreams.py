# SPDX-License-Identifier: Apache-2.0
"""Upstreams that are slow, dying, lying or not there: the client gets an answer, the log a record."""

import os
import signal
import socket
import threading
import time

import pytest
from botocore.exceptions import ClientError
from support import raw_http, upstreams
from support.aws_clients import Key
from support.server import OpenTrail, wait_until
from support.upstreams import Upstream

KEY = Key("AKIAIOSFODNN7EXAMPLE", "a-secret-that-nobody-checks")
TIMEOUT_S = 1.0
JSON = (
    ("Content-Type", "application/x-amz-json-1.1"),
    ("X-Amz-Target", "SageMaker.StopTrainingJob"),
)
SIGNED = (
    f"AWS4-HMAC-SHA256 Credential={KEY.access_key_id}/20260101/us-east-1/s3/aws4_request,"
    " SignedHeaders=host, Signature=00"
)
S3 = (("Authorization", SIGNED),)
BODY = b'{"TrainingJobName": "job"}'
TIMED_OUT = "the upstream did not answer in time"
BROKEN = "the upstream closed the connection or sent no valid answer"
HTML = b"<!doctype html>\n<title>500 Internal Server Error</title>\n<p>oops</p>"


@pytest.fixture(scope="module")
def upstream():
    with upstreams.upstream() as found:
        yield found


@pytest.fixture(scope="module")
def server(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory):
    """One server: by default to the scripted upstream, for some services to what is not there."""
    silent = socket.create_server(("127.0.0.1", 0), backlog=0)  # accepts nobody
    fillers = [socket.socket() for _ in range(2)]
    for filler in fillers:
        filler.settimeout(0)
        filler.connect_ex(silent.getsockname())
    config = f"""
        [forward]
        timeout_s = {TIMEOUT_S}
        connect_timeout_s = 0.5
        [upstream]
        default = "{upstream.url}"
        personalize = "http://127.0.0.1:{upstreams.free_port()}"
        devops-guru = "http://name-that-does-not-exist.invalid:80"
        sqs = "http://127.0.0.1:{silent.getsockname()[1]}"
    """
    data = tmp_path_factory.mktemp("bad_upstreams") / "data"
    with silent, OpenTrail(data, config=config) as found:
        yield found
        seen, accounted = found.accounted()
        assert seen == accounted
        assert found.failures() == ""
    for filler in fillers:
        filler.close()


def stop(server: OpenTrail) -> raw_http.RawAnswer:
    """Make a call of SageMaker's and return the answer."""
    return raw_http.call(server.endpoint, raw_http.request("/", BODY, headers=JSON))


def outcome(server: OpenTrail) -> tuple[str, str]:
    """Return what the last record says of a call whose end is not known."""
    event = server.events()[-1]
    assert event["eventName"] == "StopTrainingJob"
    assert event["requestParameters"] == {"trainingJobName": "job"}
    assert event["responseElements"] is None
    assert "errorCode" not in event
    additional = event["additionalEventData"]
    return additional["outcome"], additional["outcomeReason"]


def test_a_timeout_is_an_unknown_outcome(server: OpenTrail, upstream: Upstream) -> None:
    upstream.script = upstreams.silent
    began = time.monotonic()
    answer = stop(server)
    assert TIMEOUT_S <= time.monotonic() - began < TIMEOUT_S + 2
    assert (answer.status, b"ServiceUnavailable" in answer.body) == (503, True)
    assert outcome(server) == ("unknown", TIMED_OUT)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"\x00\x01\x02 garbage \xff\r\n\r\n",
        b"HTTP/1.1 2x0 OK\r\n\r\n",
        b"HTTP/1.1 999 What\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.7\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    ],
    ids=[
        "closes",
        "dies in the header",
        "binary",
        "no status",
        "impossible status",
        "another protocol",
        "bad length",
        "endless header",
        "not HTTP",
        "no chunk",
        "another coding",
    ],
)
def test_no_valid_answer_is_an_unknown_outcome(
    server: OpenTrail, upstream: Upstream, answer: bytes
) -> None:
    upstream.script = upstreams.verbatim(answer)
    found = stop(server)
    assert (found.status, b"ServiceUnavailable" in found.body) == (503, True)
    assert outcome(server) == ("unknown", BROKEN)


@pytest.mark.parametrize("value", [b"a\x01b", b"a\x7fb"])
def test_a_header_that_cannot_be_passed_on_is_no_valid_answer(
    server: OpenTrail, upstream: Upstream, value: bytes
) -> None:
    upstream.script = upstreams.verbatim(
        b"HTTP/1.1 200 OK\r\nX: " + value + b"\r\nContent-Length: 2\r\n\r\n{}"
    )
    assert stop(server).status == 503
    assert outcome(server) == ("unknown", BROKEN)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\r\n",
    ],
    ids=["short", "unfinished chunk"],
)
def test_a_body_that_breaks_off_breaks_off_for_the_client_too(
    server: OpenTrail, upstream: Upstream, answer: bytes
) -> None:
    upstream.script = upstreams.verbatim(answer)
    create = (JSON[0], ("X-Amz-Target", "SageMaker.CreateModel"))
    for headers in (JSON, create):
        before = len(server.events())
        with pytest.raises(ConnectionError):
            raw_http.call(server.endpoint, raw_http.request("/", BODY, headers=headers))
        assert len(server.events()) == before + 1
    event = server.events()[-1]
    assert event["responseElements"] is None
    assert event["additionalEventData"]["responseIncomplete"] is True


@pytest.mark.parametrize("target", ["/b/k?uploadId=u", "/b/copy"])
def test_an_error_after_the_status_200_is_an_error(
    server: OpenTrail, upstream: Upstream, target: str
) -> None:
    """S3 says so of long work, to which it has kept its client waiting with blanks."""
    said = b"<Error><Code>InternalError</Code><Message>Please try again.</Message></Error>"
    upstream.script = upstreams.answer(200, b'<?xml version="1.0"?>' + b" " * 100 + said)
    copies = target == "/b/copy"
    headers = (*S3, ("x-amz-copy-source", "b/k")) if copies else S3
    method = "PUT" if copies else "POST"
    request = raw_http.request(target, headers=headers, method=method)
    assert raw_http.call(server.endpoint, request).status == 200
    event = server.events()[-1]
    assert event["eventName"] == ("CopyObject" if copies else "CompleteMultipartUpload")
    assert (event["errorCode"], event["errorMessage"]) == ("InternalError", "Please try again.")
    assert event["responseElements"] is None
    upstream.script = upstreams.answer(200, b"<CopyObjectResult><ETag>e</ETag></CopyObjectResult>")
    raw_http.call(server.endpoint, request)
    assert "errorCode" not in server.events()[-1]


def test_an_upstream_that_falls_silent_in_its_body(server: OpenTrail, upstream: Upstream) -> None:
    def script(exchange: upstreams.Exchange) -> bool:
        exchange.read()
        exchange.send(upstreams.head(200, (("Content-Length", "1000"),)) + b"{")
        exchange.wait_closed()
        return False

    upstream.script = script
    with pytest.raises(ConnectionError):
        stop(server)


def test_slow_but_sure(server: OpenTrail, upstream: Upstream) -> None:
    """The limit is on silence, not on the whole: a slow answer arrives."""

    def script(exchange: upstreams.Exchange) -> bool:
        exchange.read()
        for piece in (b"HTTP/1.1 200 OK\r\nContent-", b"Length: 4\r\n", b"\r\n", b"{", b" ", b" }"):
            exchange.send(piece)
            time.sleep(TIMEOUT_S / 3)
        return True

    upstream.script = script
    assert stop(server).body == b"{  }"


def test_a_redirect_says_what_is_wrong(server: OpenTrail, upstream: Upstream) -> None:
    """S3 answers so where a bucket is in another region."""
    said = b"<Error><Code>PermanentRedirect</Code><Message>Elsewhere.</Message></Error>"
    upstream.script = upstreams.answer(301, said)
    assert stop(server).body == said
    event = server.events()[-1]
    assert (event["errorCode"], event["errorMessage"]) == ("PermanentRedirect", "Elsewhere.")


@pytest.mark.parametrize("service", ["personalize", "devops-guru", "sqs"])
def test_an_unreachable_upstream(server: OpenTrail, upstream: Upstream, service: str) -> None:
    """Refused, no such name, no answer to the connection: the upstream never saw the call."""
    before = len(upstream.received)
    client = server.client(service, KEY)
    calls = {
        "personalize": ("CreateSchema", lambda: client.create_schema(name="s", schema="{}")),
        "devops-guru": (
            "UpdateResourceCollection",
            lambda: client.update_resource_collection(
                Action="ADD", ResourceCollection={"CloudFormation": {"StackNames": ["*"]}}
            ),
        ),
        "sqs": ("CreateQueue", lambda: client.create_queue(QueueName="q")),
    }
    name, call = calls[service]
    with pytest.raises(ClientError) as error:
        call()
    response = error.value.response
    assert response["Error"]["Code"] == "ServiceUnavailable"
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 503
    event = server.events()[-1]
    assert (event["eventName"], event["errorCode"]) == (name, "ServiceUnavailable")
    assert event["errorMessage"] == response["Error"]["Message"]
    assert event["requestParameters"]
    assert event["responseElements"] is None
    assert event["requestID"] == response["ResponseMetadata"]["RequestId"]
    assert len(upstream.received) == before


@pytest.mark.parametrize("method", ["PUT", "GET", "DELETE", "POST"])
def test_a_call_is_never_sent_twice(server: OpenTrail, upstream: Upstream, method: str) -> None:
    """A kept connection that the upstream closes as the next call arrives: it may have acted."""
    served = 0

    def script(exchange: upstreams.Exchange) -> bool:
        nonlocal served
        served += 1
        exchange.read()
        if served == 1:
            exchange.send(upstreams.head(200, (("Content-Length", "0"),)))
        return served == 1

    upstream.script = upstreams.closes  # what connections are kept from before end here
    raw_http.call(server.endpoint, raw_http.request("/b/first", method="GET"))
    upstream.script = script
    before = len(upstream.received)
    request = raw_http.request("/b/k", b"x" if method in ("PUT", "POST") else b"", method=method)
    assert raw_http.call(server.endpoint, request).status == 200
    assert raw_http.call(server.endpoint, request).status == 503
    assert len(upstream.received) - before == 2
    assert server.events()[-1]["additionalEventData"]["outcome"] == "unknown"


def test_html_errors_pass_through(server: OpenTrail, upstream: Upstream) -> None:
    kind = (("Content-Type", "text/html; charset=utf-8"),)
    for status, code in ((500, "InternalFailure"), (404, "UnknownOperationException")):
        upstream.script = upstreams.answer(status, HTML, kind)
        answer = stop(server)
        assert (answer.status, answer.body) == (status, HTML)
        event = server.events()[-1]
        assert event["errorCode"] == code
        assert "<" not in event["errorMessage"]
        assert "additionalEventData" not in event or "outcome" not in event["additionalEventData"]


def test_no_upstream_for_a_service(tmp_path, upstream: Upstream) -> None:
    with OpenTrail(tmp_path / "data", "--upstream", f"s3={upstream.url}") as server:
        assert (
            raw_http.call(server.endpoint, raw_http.request("/", BODY, headers=JSON)).status == 503
        )
        event = server.events()[-1]
        assert event["errorCode"] == "ServiceUnavailable"
        assert event["errorMessage"].endswith(
            "no upstream is configured for sagemaker.amazonaws.com."
        )


def test_a_loop_is_refused_at_once(tmp_path) -> None:
    port = upstreams.free_port()
    url = f"http://127.0.0.1:{port}"
    with OpenTrail(tmp_path / "data", upstream=url, port=port) as server:
        answer = stop(server)
        assert (answer.status, b"LoopDetectedException" in answer.body) == (508, True)
        codes = [event["errorCode"] for event in server.events()]
        assert codes == ["LoopDetectedException"] * 2
        assert len(set(server.accounted())) == 1


def test_a_loop_over_another_server_is_refused_at_the_second_visit(tmp_path) -> None:
    port = upstreams.free_port()
    with (
        OpenTrail(tmp_path / "one", upstream=f"http://127.0.0.1:{port}") as one,
        OpenTrail(tmp_path / "two", upstream=one.endpoint, port=port) as two,
    ):
        assert stop(one).status == 508
        assert (len(one.events()), len(two.events())) == (2, 1)


def test_sigterm_waits_for_what_was_forwarded(tmp_path) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def script(exchange: upstreams.Exchange) -> bool:
        exchange.read()
        asked.set()
        assert go_on.wait(10)
        exchange.send(upstreams.head(200, (("Content-Length", "2"),)) + b"{}")
        return True

    with (
        upstreams.upstream(script) as slow,
        OpenTrail(tmp_path / "data", upstream=slow.url) as server,
    ):
        with raw_http.connection(server.endpoint) as connection:
            connection.send(raw_http.request("/", BODY, headers=JSON))
            assert asked.wait(10)
            os.kill(server.pid, signal.SIGTERM)
            # Who connects while the port is closed, and sends nothing, may never be told by the kernel.
            health = raw_http.request("/_opentrail/health", method="GET", host="localhost")
            with pytest.raises(ConnectionError):
                wait_until(lambda: raw_http.call(server.endpoint, health) is None)
            go_on.set()
            assert connection.answer().body == b"{}"
        assert server.stop() == 0
        (event,) = server.events()
        assert event["eventName"] == "StopTrainingJob"
        assert "outcome" not in event.get("additionalEventData", {})
        server.start()
        assert len(server.events()) == 1
