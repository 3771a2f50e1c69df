# SPDX-License-Identifier: Apache-2.0
"""What front knows of callers is kept up to date, and what cannot be read changes nothing."""

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from opentrail.access.resign import UpstreamKey
from opentrail.access.tokens import BadToken, Tokens
from opentrail.capture.dial import UpstreamSettings
from opentrail.capture.upstream import Unreachable
from opentrail.clock import SystemIds
from opentrail.config import AccessKeySetting, Settings, load
from opentrail.config.identity import Jwt
from opentrail.errors import UsageError
from opentrail.front.key_file import change_key_file
from opentrail.front.keys import key_file
from opentrail.front.upstream_keys import KEPT_S, ProfileKeys
from opentrail.front.vouching import RETRY_S, STALE_S_MAX, IssuerKeys
from opentrail.front.whose import Whose

ACCOUNT = "123456789012"
KEY_ID = "AKIAQAAAAAAAAAAAAAAB"
PRIVATE = rsa.generate_private_key(65_537, 2048)


class Moved:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.s = 1_000_000.0

    def now_ms(self) -> int:
        return int(self.s * 1000)

    def monotonic(self) -> float:
        return self.s


def key_set(kid: str) -> bytes:
    public = jwt.algorithms.RSAAlgorithm.to_jwk(PRIVATE.public_key(), as_dict=True)
    return json.dumps({"keys": [{**public, "kid": kid}]}).encode()


class Issuer(HTTPServer):
    """Gives out a key set, or an error."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.status, self.body, self.asked = 200, key_set("k1"), 0


class _Answer(BaseHTTPRequestHandler):
    server: Issuer

    def do_GET(self) -> None:
        self.server.asked += 1
        self.send_response(self.server.status)
        self.send_header("Location", "http://127.0.0.1:9/")
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def issuer_keys(issuer: Issuer, clock: Moved) -> IssuerKeys:
    url = f"http://127.0.0.1:{issuer.server_port}/keys"
    return IssuerKeys(Jwt(issuer="i", audience="a", jwks=url, refresh_s=600), ACCOUNT, clock)


def proves(tokens: Tokens, kid: str, clock: Moved) -> bool:
    said = {"iss": "i", "aud": "a", "sub": "ada", "exp": clock.s + 1e6}
    token = jwt.encode(said, PRIVATE, algorithm="RS256", headers={"kid": kid})
    try:
        return tokens.identity(token, clock.now_ms()).user_name == "ada"
    except BadToken:
        return False


def test_keys_are_fetched_when_due_and_for_a_new_one(issuer):
    clock = Moved()
    keys = issuer_keys(issuer, clock)
    assert not proves(keys.tokens, "k1", clock)
    asyncio.run(keys.step())
    assert proves(keys.tokens, "k1", clock)
    clock.s += 599
    asyncio.run(keys.step())
    assert issuer.asked == 1
    clock.s += 1
    asyncio.run(keys.step())
    assert issuer.asked == 2
    issuer.body = key_set("k2")
    assert not proves(keys.tokens, "k2", clock)
    clock.s += RETRY_S - 1
    asyncio.run(keys.step())
    assert issuer.asked == 2
    clock.s += 1
    asyncio.run(keys.step())
    assert proves(keys.tokens, "k2", clock)
    assert not proves(keys.tokens, "k1", clock)


@pytest.mark.parametrize(("status", "body"), [(500, b""), (302, b""), (200, b"{}"), (200, b"<")])
def test_keys_that_cannot_be_fetched_hold_for_a_day(issuer, status, body):
    clock = Moved()
    keys = issuer_keys(issuer, clock)
    asyncio.run(keys.step())
    issuer.status, issuer.body = status, body
    clock.s += STALE_S_MAX
    asyncio.run(keys.step())
    assert proves(keys.tokens, "k1", clock)
    clock.s += RETRY_S
    asyncio.run(keys.step())
    assert not proves(keys.tokens, "k1", clock)
    issuer.status, issuer.body = 200, key_set("k1")
    clock.s += RETRY_S
    asyncio.run(keys.step())
    assert proves(keys.tokens, "k1", clock)


def test_a_file_of_keys_that_is_none_is_said_at_the_start(tmp_path):
    file = tmp_path / "keys.json"
    setting = Jwt(issuer="i", audience="a", jwks=str(file))
    with pytest.raises(UsageError, match="cannot be read"):
        IssuerKeys(setting, ACCOUNT, Moved())
    file.write_text("{}")
    with pytest.raises(UsageError, match="key set"):
        IssuerKeys(setting, ACCOUNT, Moved())


def settings_of(tmp_path: Path) -> Settings:
    (tmp_path / "data").mkdir()
    return load(None, {"OPENTRAIL_DATA": str(tmp_path / "data")}, {})


def test_a_key_file_that_is_damaged_changes_nothing(tmp_path):
    settings = settings_of(tmp_path)
    whose = Whose(settings, Moved(), SystemIds())
    path = key_file(settings)
    change_key_file(path, lambda keys: keys.update({KEY_ID: AccessKeySetting(type="Root")}))
    asyncio.run(whose.step())
    assert whose.keys.is_configured(KEY_ID)
    path.write_bytes(b"{")
    asyncio.run(whose.step())
    assert whose.keys.is_configured(KEY_ID)
    path.unlink()
    asyncio.run(whose.step())
    assert not whose.keys.is_configured(KEY_ID)
    whose.close()


def found(
    keys: ProfileKeys, credentials_profile: str = "", principals: tuple[tuple[str, str], ...] = ()
) -> UpstreamKey | None:
    settings = UpstreamSettings(
        "http://x", credentials_profile=credentials_profile, principals=principals
    )
    return asyncio.run(keys.find(settings, ("arn:ada", ACCOUNT)))


def test_profiles_by_caller_and_read_anew(tmp_path, monkeypatch):
    file = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    text = "[{0}]\naws_access_key_id={0}{1}\naws_secret_access_key=secret\n"
    file.write_text(text.format("one", 1) + text.format("two", 1))
    clock = Moved()
    keys = ProfileKeys(clock)
    assert found(keys, credentials_profile="one") == UpstreamKey("one1", "secret")
    by_account = found(keys, credentials_profile="one", principals=((ACCOUNT, "two"),))
    assert by_account == UpstreamKey("two1", "secret")
    by_arn = found(keys, principals=((ACCOUNT, "two"), ("arn:ada", "one")))
    assert by_arn == UpstreamKey("one1", "secret")
    assert found(keys, principals=(("arn:eve", "one"),)) is None
    file.write_text(text.format("one", 2))
    clock.s += KEPT_S
    assert found(keys, credentials_profile="one") == UpstreamKey("one1", "secret")
    clock.s += 1
    assert found(keys, credentials_profile="one") == UpstreamKey("one2", "secret")
    with pytest.raises(Unreachable) as refused:
        found(keys, credentials_profile="three")
    assert "secret" not in refused.value.message


@pytest.mark.parametrize(
    "text",
    [
        '[forward]\nmode = "resign"\n[upstream]\ndefault = "http://x"',
        '[upstream.default]\nurl = "http://x"\ncredentials_profile = "p"',
        '[upstream.default]\nurl = "http://x"\n[upstream.default.principals]\na = "p"',
    ],
)
def test_signing_anew_and_its_keys_belong_together(tmp_path, text):
    file = tmp_path / "opentrail.toml"
    file.write_text(text)
    with pytest.raises(UsageError, match="resign"):
        load(file, {}, {})
