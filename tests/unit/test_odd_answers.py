# SPDX-License-Identifier: Apache-2.0
"""Endpoints that answer what no AWS service does, and keys that cannot be had: both are waited for.

A page of a proxy has the status of a success. Whoever took it for one would lose what was sent.
"""

from collections.abc import Callable

import pytest
from support.aws_clients import without_aws
from support.delivery_world import record
from support.open_buckets import SettableClock
from support.upstreams import answer, upstream

from opentrail.clock import SystemClock
from opentrail.errors import Unavailable
from opentrail.event.codec import decode
from opentrail.objects.base import Put
from opentrail.objects.setting import BucketSetting
from opentrail.objects.table import BucketTable
from opentrail.trails.connections import Connections
from opentrail.trails.digest_setting import DigestSetting
from opentrail.trails.kmskeys import kms_client, load_signer
from opentrail.trails.target import Copied
from opentrail.trails.target_client import Clients, Endpoints
from opentrail.trails.target_events import EventsTarget
from opentrail.trails.target_logs import LogsTarget
from opentrail.trails.target_setting import TargetSetting, WebhookSetting
from opentrail.trails.target_sns import SnsTarget
from opentrail.trails.target_webhook import Webhook
from opentrail.trails.trail import Trail

ACCOUNT, REGION = "123456789012", "us-east-1"
KEY = ("AKIATEST", "secret-of-the-test")
SETTING = TargetSetting(events=True)
TRAIL = Trail(
    id="1",
    name="audit",
    account=ACCOUNT,
    home_region=REGION,
    bucket="logs",
    sns_topic="files",
    log_group_arn=f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:audit:*",
    log_role_arn=f"arn:aws:iam::{ACCOUNT}:role/logs",
    kms_key_id="alias/logs",
)
PAGE = b"<html><body>We are back soon.</body></html>"
CREDENTIALS = (
    b"<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>A</AccessKeyId>"
    b"<SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>"
    b"<Expiration>soon</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
)
NO_OBJECTS = [PAGE, b"", b"null", b"[]", b'"well"', b"\xff\xfe", b'{"Entries": [{"Eve']
FORMS = [
    *NO_OBJECTS,
    b'{"Entries": 5}',
    b'{"Entries": [null]}',
    b'{"rejectedLogEventsInfo": 5, "KeyMetadata": {"Arn": 5}, "PublicKey": 5}',
    b"<AssumeRoleResponse/>",
    CREDENTIALS,
]


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """Let nobody's AWS settings reach the clients."""
    without_aws(monkeypatch)


def asked(service: str, url: str, *without: str) -> Callable[[], object]:
    """Return what is asked of ``service``; all services but ``without`` are at ``url``."""
    services = {"sns", "logs", "events", "kms", "sts"} - set(without)
    clients = Clients(SETTING, Endpoints(dict.fromkeys(services, url), KEY), SystemClock())
    data = record(1, ACCOUNT, REGION)
    copies = [Copied(data, decode(data, "test"), ACCOUNT)]
    sns, logs = SnsTarget(clients), LogsTarget(clients, 0)
    digests = DigestSetting(key="kms:alias/digests", endpoint=url, region=REGION)
    return {
        "sns": lambda: sns.validate(TRAIL),
        "logs": lambda: logs.send(TRAIL, copies, SystemClock().now_ms()),
        "events": lambda: EventsTarget(clients, SETTING).send(TRAIL, copies, 0),
        "kms": lambda: Connections(clients, sns, logs).key_arn(TRAIL),
        "digests": lambda: load_signer(kms_client(digests), "alias/digests", 0),
    }[service]


@pytest.mark.parametrize("service", ["sns", "logs", "events", "kms", "digests"])
def test_what_no_service_answers_is_no_success_and_ends_nothing(monkeypatch, service):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY[0])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEY[1])
    with upstream() as odd:
        ask = asked(service, odd.url)
        for body in FORMS:
            odd.script = answer(200, body)
            with pytest.raises(Unavailable):
                ask()


def test_a_log_group_without_a_role_to_assume_takes_no_page_for_an_answer():
    with upstream() as odd:
        ask = asked("logs", odd.url, "sts")
        for body in NO_OBJECTS:
            odd.script = answer(200, body)
            with pytest.raises(Unavailable):
                ask()


def test_a_bus_that_tells_of_fewer_entries_than_it_got_did_not_take_them():
    body = b'{"FailedEntryCount": 0, "Entries": []}'
    with upstream(answer(200, body)) as odd, pytest.raises(Unavailable, match="0 entries of 1"):
        asked("events", odd.url)()


@pytest.mark.parametrize("body", [PAGE, b""])
def test_a_bucket_behind_a_page_has_taken_nothing_and_tells_of_nothing(tmp_path, monkeypatch, body):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY[0])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEY[1])
    page = answer(200, body, (("Content-Type", "text/html"),))
    with upstream(page) as odd:
        setting = BucketSetting(endpoint=odd.url)
        bucket = BucketTable({"logs": setting}, tmp_path, SettableClock(), REGION).find("logs")
        for ask in (lambda: bucket.put("k", b"data", Put()), lambda: bucket.head("k")):
            with pytest.raises(Unavailable, match="as S3 does"):
                ask()


@pytest.mark.parametrize("printed", [None, "nonsense", "null", "[]"])
def test_a_credential_process_that_is_no_use_is_waited_for(tmp_path, monkeypatch, printed):
    """It may be installed anew just now."""
    process = tmp_path / "credentials.sh"
    if printed is not None:
        process.write_text(f"#!/bin/sh\necho '{printed}'\n")
        process.chmod(0o700)
    config = tmp_path / "config"
    config.write_text(f"[profile made]\ncredential_process = {process}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    setting = BucketSetting(endpoint="http://127.0.0.1:9", credentials_profile="made")
    table = BucketTable({"logs": setting}, tmp_path, SettableClock(), REGION)
    with pytest.raises(Unavailable):
        table.find("logs").put("k", b"data", Put())
    targets = TargetSetting(endpoint="http://127.0.0.1:9", credentials_profile="made")
    with pytest.raises(Unavailable):
        SnsTarget(Clients(targets, Endpoints(), SystemClock())).validate(TRAIL)


@pytest.mark.parametrize(
    ("url", "is_trusted"),
    [
        ("https://127.0.0.1:9/", False),
        ("http://127.0.0.1:9/h\u00f6k", True),
        ("http://127.0.0.1:port/", True),
        ("http://127.0.0.1:99999/", True),
        ("http://a..example/", True),
    ],
)
def test_a_webhook_that_cannot_be_asked_is_unavailable(tmp_path, url, is_trusted):
    """Such URLs are refused at start; certificates may be gone later."""
    certificates = "" if is_trusted else str(tmp_path / "gone.pem")
    setting = WebhookSetting(url=url, secret="s" * 16, ca=certificates)
    with pytest.raises(Unavailable, match="webhook-siem: the receiver"):
        Webhook("siem", setting, SettableClock())._post(b"{}", {})
