# SPDX-License-Identifier: Apache-2.0
"""Bounds of what waits, is paged through, is remembered and is told, each on both sides."""

import asyncio
import datetime as dt
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from support.certificates import Authority
from support.data_directories import encoded
from support.data_directories import record as event
from support.log_files import HandClock
from support.memory_log import MemoryLog
from support.wire_server import SmallHistory, api, request

from opentrail.cli import verify_keys
from opentrail.errors import ClientError, Unavailable
from opentrail.front import importing, tls
from opentrail.front.importing import ImportDoor
from opentrail.history import hints as hints_module
from opentrail.history.hints import unknown
from opentrail.history.search import Searcher
from opentrail.imports import ungzip
from opentrail.trails import organization_upstream, statuses, target_logs
from opentrail.trails.digestfile import LogFileEntry
from opentrail.trails.organization_upstream import UpstreamOrganization
from opentrail.trails.statuses import tell_why
from opentrail.trails.target_client import Clients, Endpoints
from opentrail.trails.target_logs import LogsTarget
from opentrail.trails.target_setting import TargetSetting
from opentrail.trails.trail import Trail
from opentrail.verification import looked
from opentrail.verification.examine import Examiner
from opentrail.verification.looked import Check, looked_at
from opentrail.verification.verdict import Finding, Verdict
from opentrail.verification.workers import Here
from opentrail.wire import app as wire_app

NOTHING: Any = None
"""What is not asked in the test."""
DENIED = "AccessDenied: "
"""How a reason begins."""
BOSS, REGION = "123456789012", "us-east-1"
TRAIL = Trail(
    id="1",
    name="audit",
    account=BOSS,
    home_region=REGION,
    bucket="logs",
    log_group_arn=f"arn:aws:logs:{REGION}:{BOSS}:log-group:audit:*",
    log_role_arn=f"arn:aws:iam::{BOSS}:role/logs",
)


class Silent(SmallHistory):
    """A history whose disk says a lot."""

    def __init__(self, said):
        super().__init__()
        self.said = said

    def lookup(self, _query):
        raise Unavailable(self.said)


def told_by_the_api(said):
    answer = api(Silent(said)).handle(request())
    assert answer.status == 503
    assert b"zz" not in answer.body


def told_of_a_status(said):
    tell_why("delivery", TRAIL, "", Unavailable(said))


class Refusing(LogsTarget):
    """A target whose group's retention may not be set."""

    def __init__(self, said):
        super().__init__(Clients(TargetSetting(), Endpoints(), HandClock()), 7)
        self.said = said

    def _call(self, trail, operation, **arguments):
        assert trail is TRAIL
        assert "logStreamName" in arguments or "retentionInDays" in arguments
        if operation == "put_retention_policy":
            raise ClientError("AccessDenied", self.said.removeprefix(DENIED))
        return {}


def told_of_a_retention(said):
    Refusing(said)._ensure(TRAIL, "stream")


@pytest.mark.parametrize(
    ("most", "tell"),
    [
        (wire_app.REASON_CHARS_MAX, told_by_the_api),
        (statuses.REASON_CHARS_MAX, told_of_a_status),
        (target_logs.REASON_CHARS_MAX, told_of_a_retention),
    ],
)
@pytest.mark.parametrize("over", [0, 1])
def test_of_a_long_reason_the_servers_log_has_the_beginning(caplog, most, tell, over):
    tell(DENIED + "z" * (most + over - len(DENIED)))
    assert f"'{DENIED}{'z' * (most - len(DENIED))}'" in caplog.text


class Pages(Clients):
    """An API whose list has so many pages."""

    def __init__(self, count):
        super().__init__(TargetSetting(), Endpoints(), HandClock())
        self.count, self.asked = count, 0

    def page(self, member, *items):
        self.asked += 1
        more = {"NextToken": "t"} if self.asked < self.count else {}
        return {member: list(items)} | more

    def call(self, service, operation, **arguments):
        assert service.name == "organizations"
        assert ("NextToken" in arguments) == (self.asked % self.count > 0)
        if operation == "describe_organization":
            found = {"Id": "o-exampleorgid", "MasterAccountId": BOSS}
            return {"Organization": found}
        if operation == "list_accounts":
            return self.page("Accounts", {"Id": BOSS, "Status": "ACTIVE"})
        return {}

    def list_public_keys(self, **_arguments):
        now = dt.datetime.now(tz=dt.UTC)
        listed = {"Value": b"%d" % self.asked, "ValidityStartTime": now, "ValidityEndTime": now}
        return self.page("PublicKeyList", listed)


def test_an_organization_whose_accounts_have_no_end_is_none(monkeypatch):
    monkeypatch.setattr(organization_upstream, "PAGES_MAX", 3)

    def asked(pages):
        return UpstreamOrganization(Pages(pages), REGION).of(BOSS)

    found = asked(3)
    assert found is not None
    assert found.management_account == BOSS
    with pytest.raises(ClientError, match="does not come to an end"):
        asked(4)


def test_public_keys_are_paged_through_to_a_bound(monkeypatch):
    monkeypatch.setattr(verify_keys, "PAGES_MAX", 3)
    for count, read in ((2, 2), (3, 3), (4, 3)):
        assert len(list(verify_keys._listed(Pages(count), (0, 1)))) == read


@pytest.mark.parametrize("over", [0, 1])
def test_findings_wait_for_a_log_file_up_to_a_bound(monkeypatch, over):
    monkeypatch.setattr(looked, "WAITING_MAX", 3)
    began = []

    class Later(Here):
        tasks_max = 100
        batch = 100

        def begin(self, job, items):
            began.append((job, len(items)))
            return lambda: [(Verdict.VALID, "")] * len(items)

    def items():
        yield Check(LogFileEntry("b", "k", "", "", None, None))
        for number in range(2 + over):
            yield Finding("Digest file", str(number), Verdict.VALID)
        assert bool(began) == bool(over)

    first, *_rest = looked_at(Later(NOTHING), items())
    assert first.subject == "s3://b/k"
    assert began == [(Examiner.logs, 1)]


def test_names_of_fields_are_gathered_up_to_a_bound(monkeypatch):
    log = MemoryLog()
    newest = event(1)
    log.append([encoded(event(0) | {"colourful": 1}), encoded(newest)])

    def meant():
        found = unknown(Searcher(log, (), 0), "colourfull")
        return found is not None and "did you mean colourful?" in found.text

    of_one = len(dict.fromkeys(hints_module._paths(newest, "", hints_module.DEPTH_MAX)))
    monkeypatch.setattr(hints_module, "NAMES_MAX", of_one + 1)
    assert meant()
    monkeypatch.setattr(hints_module, "NAMES_MAX", of_one)
    assert not meant()


def test_a_certificate_has_so_many_names(tmp_path):
    assert tls.NAMES_MAX == 64
    for count in (63, 64):  # beside the subject
        alternative = [x509.DNSName(f"n{number}.example.org") for number in range(count)]
        pair = Authority(tmp_path).sign("many", names=alternative)
        certificate = x509.load_pem_x509_certificate(pair.cert.read_bytes())
        names = tls._names(certificate.public_bytes(Encoding.DER))
        assert len(names) == tls.NAMES_MAX
        assert names[-1] == "DNS:n62.example.org"


def test_so_many_imports_wait_for_their_bodies():
    door = ImportDoor(NOTHING, NOTHING, NOTHING, HandClock(), verify=False)
    asked = []

    class Body:
        async def whole(self, most):
            asked.append(most)
            await asyncio.sleep(0)
            return b""

    body: Any = Body()

    async def at_once(count):
        waiting = (door._whole(NOTHING, body) for _ in range(count))
        return await asyncio.gather(*waiting, return_exceptions=True)

    most = importing.WAITING_MAX
    assert asyncio.run(at_once(most)) == [b""] * most
    *taken, refused = asyncio.run(at_once(most + 1))
    assert taken == [b""] * most
    assert refused.code == "ServiceUnavailable"
    assert len(asked) == 2 * most


def test_gzip_data_that_gives_nothing_for_a_while_is_damaged(monkeypatch):
    class Dull:
        needs_input = False
        unused_data = b""

        def __init__(self, **_flag):
            self.left = empty
            self.eof = False

        def decompress(self, _data, _most):
            self.left -= 1
            self.eof = self.left < 0
            return b"records" if self.eof else b""

    monkeypatch.setattr("opentrail.imports.ungzip.igzip_lib.IgzipDecompressor", Dull)
    stored = [b"\x1f\x8b\x08\0" + b"\0" * 16]
    empty = ungzip.EMPTY_MAX - 1
    assert b"".join(ungzip.unpacked(stored)) == b"records"
    empty = ungzip.EMPTY_MAX
    with pytest.raises(ungzip.NotReadable, match="damaged"):
        b"".join(ungzip.unpacked(stored))
