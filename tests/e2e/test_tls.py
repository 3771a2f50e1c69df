# SPDX-License-Identifier: Apache-2.0
"""TLS on both sides: certificates that change, clients that show theirs, proxies on the way."""

import http.client
import os
import signal
import socket
import ssl
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import boto3
import botocore.config
import pytest
from botocore.exceptions import SSLError
from cryptography import x509
from support import http_proxy, upstreams
from support.certificates import Authority, Pair
from support.server import OpenTrail, clean_environment, run, wait_until

from opentrail.eventlog.reader import SegmentReader

CALL = b'{"ModelName": "m"}'
HEADERS = {
    "Content-Type": "application/x-amz-json-1.1",
    "X-Amz-Target": "SageMaker.DeleteModel",
    "Host": "api.sagemaker.us-east-1.amazonaws.com",
}


class Secure(OpenTrail):
    """A server with TLS, asked by clients that trust one CA."""

    proxied: list[bytes]

    def asked(self, context: ssl.SSLContext, headers: dict[str, str] = HEADERS) -> Any:
        """Make one call; return the status and the certificate's common name."""
        port = int(self.endpoint.rpartition(":")[2])
        connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=10)
        try:
            connection.request("POST", "/", CALL, headers)
            shown: Any = connection.sock.getpeercert()
            names = dict(pair[0] for pair in shown["subject"])
            return connection.getresponse().status, names["commonName"]
        finally:
            connection.close()

    def last(self) -> dict[str, Any]:
        """Return the newest record."""
        return self.events()[-1]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def shown(authority: Authority) -> Pair:
    return authority.sign("server-one", "server")


@pytest.fixture(scope="module")
def server(authority: Authority, shown: Pair, tmp_path_factory: pytest.TempPathFactory):
    """One server with TLS, before an upstream that wants a certificate, behind a proxy."""
    ours = authority.sign("opentrail")
    there = authority.sign("upstream")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(authority.file))
    tls.load_cert_chain(there.cert, there.key)
    tls.verify_mode = ssl.CERT_REQUIRED
    with (
        upstreams.upstream(tls=tls) as far,
        upstreams.upstream(tls=tls) as near,
        upstreams.upstream() as plain,
        http_proxy.proxy() as (address, asked),
    ):
        way = f'ca = "{authority.file}"\nclient_cert = "{ours.cert}"\nclient_key = "{ours.key}"'
        config = f"""
            [listen]
            tls_cert = "{shown.cert}"
            tls_key = "{shown.key}"
            tls_ca = "{authority.file}"
            tls_client_ca = "{authority.file}"
            [client_certificates."CN=ada,O=Example"]
            arn = "arn:aws:iam::123456789012:user/ada"
            [client_certificates."URI:spiffe://example.org/trainer"]
            service = "trainer.example.org"
            [upstream.default]
            url = "{near.url}"
            {way}
            [upstream.devops-guru]
            url = "{far.url}"
            proxy = "{address}"
            {way}
            [upstream.sqs]
            url = "{plain.url}"
            proxy = "{address}"
            [upstream.sns]
            url = "{near.url}"
            [upstream.kms]
            url = "{far.url}"
            proxy = "http://127.0.0.1:{upstreams.free_port()}"
            {way}
        """
        with Secure(tmp_path_factory.mktemp("tls") / "data", config=config) as found:
            found.proxied = asked
            yield found


@pytest.fixture
def trusting(authority: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(authority.file))


def client(server: Secure, service: str, ca: str = "") -> Any:
    """Return a boto3 client that trusts ``ca``."""
    return boto3.session.Session(server.admin.access_key_id, server.admin.secret_access_key).client(
        service,
        "us-east-1",
        endpoint_url=server.endpoint,
        verify=ca or True,
        config=botocore.config.Config(
            retries={"total_max_attempts": 1}, inject_host_prefix=False, proxies={}
        ),
    )


def test_boto3_trusts_the_ca_and_the_record_says_tls(server: Secure, authority: Authority) -> None:
    client(server, "sagemaker", str(authority.file)).delete_model(ModelName="m")
    record = server.last()
    assert list(record)[-2:] == ["eventCategory", "tlsDetails"]
    details = record["tlsDetails"]
    assert details["tlsVersion"] == "TLSv1.3"
    assert details["cipherSuite"].startswith("TLS_")
    assert details["clientProvidedHostHeader"] == server.endpoint.removeprefix("https://")


def test_boto3_without_the_ca_refuses(server: Secure) -> None:
    with pytest.raises(SSLError):
        client(server, "sagemaker").delete_model(ModelName="m")


def test_services_that_show_no_tls_show_none(server: Secure, authority: Authority) -> None:
    """Through the proxy, by CONNECT, with a certificate."""
    client(server, "devops-guru", str(authority.file)).describe_account_health()
    assert server.last()["eventName"] == "DescribeAccountHealth"
    assert "tlsDetails" not in server.last()
    assert server.proxied[-1].startswith(b"CONNECT 127.0.0.1:")


def test_a_plain_upstream_behind_a_proxy(server: Secure, authority: Authority) -> None:
    client(server, "sqs", str(authority.file)).list_queues()
    assert server.last()["eventName"] == "ListQueues"
    assert server.proxied[-1].startswith(b"POST http://127.0.0.1:")


@pytest.mark.parametrize(
    ("service", "operation", "reason"),
    [
        (
            "sns",
            "list_topics",
            "the upstream cannot be reached: certificate verify failed: ",
        ),
        ("kms", "list_keys", "the proxy on the way to the upstream refused or cannot be reached"),
    ],
)
def test_what_cannot_be_trusted_or_passed_is_unreachable(
    server: Secure, authority: Authority, service: str, operation: str, reason: str
) -> None:
    with pytest.raises(Exception, match="ServiceUnavailable"):
        getattr(client(server, service, str(authority.file)), operation)()
    assert server.last()["additionalEventData"]["upstream"].startswith(
        reason
    )  # then OpenSSL's words


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_old_and_new_tls(server: Secure, trusting: ssl.SSLContext, version: Any) -> None:
    trusting.maximum_version = version
    assert server.asked(trusting) == (200, "server-one")
    assert server.last()["tlsDetails"] == {
        "tlsVersion": "TLSv1.2" if version is ssl.TLSVersion.TLSv1_2 else "TLSv1.3",
        "cipherSuite": server.last()["tlsDetails"]["cipherSuite"],
        "clientProvidedHostHeader": "api.sagemaker.us-east-1.amazonaws.com",
    }


def test_too_old_tls_is_refused(server: Secure, trusting: ssl.SSLContext) -> None:
    trusting.set_ciphers("ALL:@SECLEVEL=0")
    trusting.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        trusting.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError):
        server.asked(trusting)


def test_a_client_that_shows_a_certificate_must_have_it_from_the_ca(
    server: Secure, authority: Authority, trusting: ssl.SSLContext, tmp_path: Path
) -> None:
    good = authority.sign("alice")
    trusting.load_cert_chain(good.cert, good.key)
    assert server.asked(trusting)[0] == 200
    bad = Authority(tmp_path, "another CA").sign("mallory")
    other = ssl.create_default_context(cafile=str(authority.file))
    other.load_cert_chain(bad.cert, bad.key)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        server.asked(other)


@pytest.mark.parametrize(
    ("name", "identity"),
    [
        (
            "ada",
            {
                "type": "IAMUser",
                "arn": "arn:aws:iam::123456789012:user/ada",
                "accountId": "123456789012",
                "userName": "ada",
            },
        ),
        ("trainer", {"type": "AWSService", "invokedBy": "trainer.example.org"}),
        ("alice", {"type": "Unknown"}),
        ("", {"type": "Unknown"}),
    ],
)
def test_a_client_certificate_says_who_calls(
    server: Secure, authority: Authority, trusting: ssl.SSLContext, name: str, identity: Any
) -> None:
    """By its subject, or by an alternative name; others that the CA vouches for are nobody."""
    if name:
        more = [x509.UniformResourceIdentifier(f"spiffe://example.org/{name}")]
        pair = authority.sign(name, names=more)
        trusting.load_cert_chain(pair.cert, pair.key)
    assert server.asked(trusting)[0] == 200
    record = server.last()
    assert record["userIdentity"] == identity
    proven = "additionalEventData" not in record
    assert proven is (identity["type"] != "Unknown")
    # A signature is judged by itself, whatever certificate comes with it.
    forged = (
        f"AWS4-HMAC-SHA256 Credential={server.admin.access_key_id}/20261128/us-east-1/sagemaker"
    )
    signed = HEADERS | {"Authorization": f"{forged}/aws4_request, SignedHeaders=host, Signature=00"}
    server.asked(trusting, signed)
    assert server.last()["additionalEventData"]["identityVerified"] is False
    assert server.last()["userIdentity"].get("userName") != "ada"


def test_what_env_prints_is_all_that_clients_need(server: Secure, authority: Authority) -> None:
    """The AWS CLI and the SDK, with the CA of ``listen.tls_ca``; status needs no settings at all."""
    config = str(server.data.with_name(server.data.name + ".toml"))
    listen = server.endpoint.removeprefix("https://")
    given = ("--config", config, "--data", str(server.data), "--listen", listen)
    printed = run("env", *given, "--format", "dotenv", home=server.data.parent)
    variables = dict(line.split("=", 1) for line in printed.stdout.splitlines())
    assert variables["AWS_CA_BUNDLE"] == variables["NODE_EXTRA_CA_CERTS"] == str(authority.file)
    environment = clean_environment(server.data.parent) | variables
    aws = Path(sys.executable).with_name("aws")
    lookup = [str(aws), "cloudtrail", "lookup-events", "--max-items", "1"]
    done = subprocess.run(lookup, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    program = (
        "import os\n"
        "from opentrail.sdk import Recorder\n"
        "with Recorder('a.b', endpoint=os.environ['AWS_ENDPOINT_URL']) as trail:\n"
        "    trail.record(eventName='OverTls')\n"
        "    assert trail.flush(), trail.counts\n"
    )
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)
    assert "OverTls" in [event["eventName"] for event in server.events()]
    done = run("status", *given, home=server.data.parent)
    assert done.returncode == 0, done.stderr


def test_doctor_says_which_certificate_to_mend(server: Secure, authority: Authority) -> None:
    old = authority.sign("old", days=-1)
    for cert, key, says in (
        (old.cert, old.key, "certificate"),  # it is not the one that the server shows
        (
            old.key.with_name("gone"),
            old.key,
            f"listen.tls_cert {old.key.with_name('gone')}: No such",
        ),
    ):
        config = server.data.parent / "other.toml"
        config.write_text(f'[listen]\ntls_cert = "{cert}"\ntls_key = "{key}"\n')
        given = ("--data", str(server.data), "--listen", server.endpoint.removeprefix("https://"))
        done = run("doctor", *given, "--config", str(config), home=server.data.parent)
        assert done.returncode == 1
        assert says in done.stdout
        assert "listen.tls_cert" in done.stdout
        assert (cert == old.cert) == ("put one that is valid" in done.stdout)


def test_plain_http_is_not_spoken(server: Secure) -> None:
    port = int(server.endpoint.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        with suppress(ConnectionError):
            assert b"HTTP/1.1" not in connection.recv(1000)


def test_a_new_certificate_is_read_and_a_bad_one_is_not_taken(
    server: Secure, authority: Authority, shown: Pair, trusting: ssl.SSLContext
) -> None:
    """Last in this module. A connection that there is goes on."""
    port = int(server.endpoint.rpartition(":")[2])
    kept = http.client.HTTPSConnection("127.0.0.1", port, context=trusting, timeout=10)
    kept.request("POST", "/", CALL, HEADERS)
    kept.getresponse().read()
    shown.key.write_text("not a key")
    os.kill(server.pid, signal.SIGHUP)
    wait_until(lambda: "the certificate stays as it was" in server.errors())
    assert server.asked(trusting) == (200, "server-one")
    authority.sign("server-two", "server")
    os.kill(server.pid, signal.SIGHUP)
    wait_until(lambda: server.asked(trusting)[1] == "server-two")
    kept.request("POST", "/", CALL, HEADERS)
    assert kept.getresponse().status == 200
    kept.close()
    assert server.stop() == 0
    reader = SegmentReader(server.data / "log")
    assert all(b"not a key" not in entry.data for entry in reader.entries(0))
    reader.close()
