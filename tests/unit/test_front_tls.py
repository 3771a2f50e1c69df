# SPDX-License-Identifier: Apache-2.0
"""The listener's certificate: which files are taken, and who the client's says that it is."""

import asyncio
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from support.certificates import Authority
from support.front_server import running

from opentrail.capture.arrival import Arrival, RequestBody
from opentrail.capture.reply import Client
from opentrail.config import Listen
from opentrail.errors import UsageError
from opentrail.front.tls import Certificate

ALICE = [
    x509.UniformResourceIdentifier("spiffe://example.org/alice"),
    x509.RFC822Name("a@example.org"),
    x509.RegisteredID(x509.ObjectIdentifier("1.2.3")),
]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    pair = Authority(tmp_path).sign("server")
    gone = str(tmp_path / "gone")
    with pytest.raises(UsageError, match=f"tls_key: {gone} is not there"):
        Certificate(Listen(tls_cert=str(pair.cert), tls_key=gone))
    with pytest.raises(UsageError, match=f"tls_client_ca: {gone} is not there"):
        Certificate(Listen(tls_cert=str(pair.cert), tls_key=str(pair.key), tls_client_ca=str(gone)))


def test_a_certificate_that_clients_refuse_is_told_by_its_time(tmp_path: Path) -> None:
    pair = Authority(tmp_path).sign("server")
    certificate = Certificate(Listen(tls_cert=str(pair.cert), tls_key=str(pair.key)))
    ends = x509.load_pem_x509_certificate(pair.cert.read_bytes()).not_valid_after_utc
    ends_ms = int(ends.timestamp()) * 1000
    assert certificate.not_valid(ends_ms) == ""
    assert str(ends) in certificate.not_valid(ends_ms + 1)
    assert certificate.not_valid(ends_ms - 10 * 86_400_000) == ""  # when it begins
    assert certificate.not_valid(ends_ms - 10 * 86_400_000 - 1) != ""


@pytest.mark.parametrize("wrong", ["not PEM", "another key"])
def test_files_that_cannot_be_used_are_named(tmp_path: Path, wrong: str) -> None:
    authority = Authority(tmp_path)
    pair = authority.sign("server")
    key = tmp_path / "other.key"
    if wrong == "not PEM":
        key.write_text("nothing")
    elif wrong == "another key":
        key = authority.sign("other").key
    with pytest.raises(UsageError, match=r"listen\.tls_cert, tls_key or tls_client_ca"):
        Certificate(Listen(tls_cert=str(pair.cert), tls_key=str(key)))


def test_a_change_of_the_files_is_seen(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.sign("server")
    certificate = Certificate(Listen(tls_cert=str(pair.cert), tls_key=str(pair.key)))
    assert not certificate.changed()
    authority.sign("server")
    assert certificate.changed()
    certificate.read()
    assert not certificate.changed()
    pair.key.unlink()
    assert certificate.changed()


@pytest.mark.parametrize(
    ("shows", "names"),
    [
        (
            True,
            b"CN=alice,O=Example URI:spiffe://example.org/alice email:a@example.org DNS:localhost",
        ),
        (False, b"-"),
    ],
)
def test_the_calls_of_a_client_carry_its_certificates_names(
    tmp_path: Path, *, shows: bool, names: bytes
) -> None:
    async def tell(arrival: Arrival, body: RequestBody, client: Client) -> None:
        del body
        assert arrival.tls is not None
        client.answer(200, [], (" ".join(arrival.tls.client_names) or "-").encode(), last=True)

    authority = Authority(tmp_path)
    pair, alice = authority.sign("server"), authority.sign("alice", names=ALICE)
    trusting = ssl.create_default_context(cafile=str(authority.file))
    if shows:
        trusting.load_cert_chain(alice.cert, alice.key)
    certificate = Certificate(
        Listen(tls_cert=str(pair.cert), tls_key=str(pair.key), tls_client_ca=str(authority.file))
    )

    async def run() -> bytes:
        async with running(tell, certificate=certificate) as front:
            reader, writer = await asyncio.open_connection("127.0.0.1", front.port, ssl=trusting)
            writer.write(b"GET / HTTP/1.0\r\n\r\n")
            answer = await reader.read()
            writer.close()
            return answer.partition(b"\r\n\r\n")[2]

    assert asyncio.run(run()) == names
