# SPDX-License-Identifier: Apache-2.0
"""A key that is rotated while the server runs is read again from the AWS shared files."""

import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from botocore.exceptions import ClientError as DriverError
from support.open_buckets import SettableClock

from opentrail.errors import ClientError, Unavailable
from opentrail.objects.base import Put
from opentrail.objects.setting import BucketSetting
from opentrail.objects.table import BucketTable
from opentrail.trails.digest_setting import DigestSetting
from opentrail.trails.kmskeys import RenewedKms, kms_client
from opentrail.trails.target_client import Clients, Endpoints, Service
from opentrail.trails.target_setting import TargetSetting

OLD, NEW = "AKIATESTROTATEDOLD", "AKIATESTROTATEDNEW"
REFUSED = b"<Error><Code>InvalidAccessKeyId</Code><Message>gone</Message></Error>"


class Endpoint(BaseHTTPRequestHandler):
    """Takes the new key only; S3 by PUT, KMS by POST."""

    def answer(self):
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        if NEW in self.headers["Authorization"]:
            status, body = 200, b"{}" if self.command == "POST" else b""
        elif self.command == "POST":
            status, body = 400, b'{"__type":"UnrecognizedClientException","message":"gone"}'
        else:
            status, body = 403, REFUSED
        self.send_response(status)
        self.send_header("ETag", '"8d777f385d3dfec8815d20f7496026dc"')
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_PUT(self):
        self.answer()

    def do_POST(self):
        self.answer()

    def log_message(self, *_words):
        pass


@pytest.fixture
def url():
    with HTTPServer(("127.0.0.1", 0), Endpoint) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Return what writes the shared file's one profile."""
    file = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))

    def write(key_id):
        file.write_text(f"[trails]\naws_access_key_id={key_id}\naws_secret_access_key=x\n")

    return write


def test_a_rotated_key_is_read_again(tmp_path, url, write):
    write(OLD)
    there = BucketSetting(endpoint=url, credentials_profile="trails")
    clock = SettableClock()
    bucket = BucketTable({"logs": there}, tmp_path, clock, "us-east-1").find("logs")
    clients = Clients(TargetSetting(endpoint=url, credentials_profile="trails"), Endpoints(), clock)
    with pytest.raises(ClientError, match="gone") as refused:
        bucket.put("k", b"data", Put())
    assert refused.value.code == "InvalidAccessKeyId"
    with pytest.raises(ClientError, match="gone"):
        clients.call(Service("kms", "us-east-1"), "list_keys")
    write(NEW)
    bucket.put("k", b"data", Put())
    clients.call(Service("kms", "us-east-1"), "list_keys")


def test_the_key_that_asks_for_signatures_is_read_again(url, write):
    """Its profile may come while the server runs, too."""
    setting = DigestSetting(
        key="kms:alias/a", endpoint=url, region="us-east-1", credentials_profile="trails"
    )
    kms = RenewedKms(partial(kms_client, setting))
    with pytest.raises(Unavailable, match="trails"):
        kms.get_public_key(KeyId="a")
    write(OLD)
    with pytest.raises(DriverError, match="UnrecognizedClient"):
        kms.get_public_key(KeyId="a")
    write(NEW)
    assert kms.get_public_key(KeyId="a")
    write(OLD)
    assert kms.get_public_key(KeyId="a"), "a key that is taken is kept"
