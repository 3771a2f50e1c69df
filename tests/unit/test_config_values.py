# SPDX-License-Identifier: Apache-2.0
"""Every bound of the settings from both sides, wrong types, and secrets that never show."""

import re

import pytest

from opentrail.config import (
    DAYS_MAX,
    PORT_MAX,
    TIMEOUT_S_MAX,
    AccessKeySetting,
    Settings,
    is_loopback,
    load,
    split_address,
)
from opentrail.errors import UsageError

ARABIC_DIGITS = "\u0661" * 12
"""Digits, as \\d has them; no account number."""
SECRET = "wJalrXUtnFEMIhushEXAMPLEKEY"

ORG = "o-exampleorgid"
MEMBERS = ["222222222222", "333333333333", "444444444444", "555555555555"]


def load_text(tmp_path, text: str) -> Settings:
    file = tmp_path / "opentrail.toml"
    file.write_text(text, encoding="utf-8")
    return load(file, {}, {})


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ("account = '123456789012'", "account = '12345678901'"),
        ("account = '000000000000'", "account = '1234567890123'"),
        ("account = '123456789012'", 'account = "123456789012\\n"'),
        ("account = '123456789012'", f"account = '{ARABIC_DIGITS}'"),
        ("accounts = ['123456789012']", "accounts = ['12']"),
        ("region = 'a'", "region = ''"),
        ("region = '{}'".format("a" * 32), "region = '{}'".format("a" * 33)),
        ("region = 'local-1'", "region = '../x'"),
        ("region = 'us-east-1'", 'region = "us-east-1\\n"'),
        ("regions = ['eu-west-1']", "regions = ['EU']"),
        ("data = '.'", "data = ''"),
        ("data = 'a b'", 'data = "a\\u0000b"'),
        ("[forward]\ntimeout_s = 0.001", "[forward]\ntimeout_s = 0"),
        (f"[forward]\ntimeout_s = {TIMEOUT_S_MAX}", f"[forward]\ntimeout_s = {TIMEOUT_S_MAX + 1}"),
        ("[forward]\nconnect_timeout_s = 1", "[forward]\nconnect_timeout_s = -1"),
        ("[forward]\nconnect_timeout_s = 3600", "[forward]\nconnect_timeout_s = inf"),
        ("[forward]\ntimeout_s = 60", "[forward]\ntimeout_s = nan"),
        ("[log]\nretention_days = 0.5", "[log]\nretention_days = 0"),
        (f"[log]\nretention_days = {DAYS_MAX}", f"[log]\nretention_days = {DAYS_MAX + 1}"),
        ("[log]\ndisk_reserve_bytes = 0", "[log]\ndisk_reserve_bytes = -1"),
        ("[history]\nlookup_window_days = 1", "[history]\nlookup_window_days = 0"),
        (
            f"[history]\nlookup_window_days = {DAYS_MAX}",
            f"[history]\nlookup_window_days = {DAYS_MAX + 1}",
        ),
        ("[api]\nauth = 'off'", "[api]\nauth = 'OFF'"),
        ("[forward]\nservice_profile = '2023'", "[forward]\nservice_profile = 2023"),
        (
            "[listen]\ntrusted_proxies = ['10.0.0.0/8']",
            "[listen]\ntrusted_proxies = ['10.0.0.1/8']",
        ),
        ("[listen]\ntrusted_proxies = ['::1']", "[listen]\ntrusted_proxies = ['proxy']"),
        ("[listen]\nallow_reset = true", "[listen]\nallow_reset = 'yes'"),
        ("[log]\ndisk_reserve_bytes = 1", "[log]\ndisk_reserve_bytes = true"),
        ("[log]\ndisk_reserve_bytes = 1", "[log]\ndisk_reserve_bytes = 1.5"),
        ("regions = []", "regions = 'us-east-1'"),
        ("[delivery]\ntrails_max = 1000", "[delivery]\ntrails_max = 1001"),
        ("[delivery]\ntrails_max = 1", "[delivery]\ntrails_max = 0"),
        (
            "[organization]\nid = 'o-exampleorg'",
            "[organization]\nid = 'o-example'",
        ),
        ("[listen]", "listen = 'x'"),
        ("[listen]", "[[listen]]"),
        ("[access_keys.A]\naccount = '123456789012'", "[access_keys.A]\naccount = 'x'"),
        ("[access_keys.A]\ntype = 'Root'", "[access_keys.A]\ntype = 'root'"),
    ],
)
def test_both_sides_of_every_bound(tmp_path, good, bad):
    load_text(tmp_path, good)
    with pytest.raises(UsageError) as caught:
        load_text(tmp_path, bad)
    setting = re.findall(r"[a-z_]+", bad.partition("=")[0] or bad)[-1]
    assert setting in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("members = ['222222222222']", "needs an id"),
        (f"from_upstream = true\nid = '{ORG}'", "leaves no other setting"),
        (f"id = '{ORG}'\nmembers = ['123456789012']", "must not have the management account"),
        (f"id = '{ORG}'\ndelegated_admins = ['222222222222']", "must be members"),
        (
            f"id = '{ORG}'\nmembers = {MEMBERS}\ndelegated_admins = {MEMBERS}",
            "are 3 at most",
        ),
    ],
)
def test_organizations_that_cannot_be(tmp_path, text, said):
    with pytest.raises(UsageError, match=said):
        load_text(tmp_path, f"[organization]\n{text}")


@pytest.mark.parametrize("text", ["[[upstream]]", "[upstream.s3]\ntrusted_identity = true"])
def test_upstreams_that_are_none(tmp_path, text):
    with pytest.raises(UsageError, match="upstream"):
        load_text(tmp_path, text)


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [
        ("127.0.0.1:0", "127.0.0.1", 0),
        (f"localhost:{PORT_MAX}", "localhost", PORT_MAX),
        ("[::1]:80", "::1", 80),
    ],
)
def test_addresses(address, host, port):
    assert split_address(address) == (host, port)


@pytest.mark.parametrize(
    "address",
    [
        *("", "4540", ":4540", "localhost", "localhost:", "h:-1", f"h:{PORT_MAX + 1}", "h:1x"),
        *("h:²", "::1:80", "[::1]", "[]:1", "[x]:1", "a b:1", "h:1\n", "h\0:1"),
        pytest.param("h:" + "9" * 5000, id="longer than int() takes"),
    ],
)
def test_what_is_no_address(address):
    with pytest.raises(UsageError, match="is not HOST:PORT"):
        split_address(address)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_needs_no_leave(host):
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.1", "::", "example.com", "localhost.evil"])
def test_beyond_loopback_wants_leave(host, tmp_path):
    assert not is_loopback(host)
    address = f"[{host}]:1" if ":" in host else f"{host}:1"
    with pytest.raises(UsageError, match="--allow-insecure"):
        load_text(tmp_path, f"[listen]\naddress = '{address}'")
    load_text(tmp_path, f"[listen]\naddress = '{address}'\nallow_insecure = true")


@pytest.mark.parametrize("url", ["http://x", "https://x:65535/", "HTTP://x:1", "http://[::1]:80"])
def test_urls_of_upstreams(tmp_path, url):
    assert load_text(tmp_path, f"[upstream]\ndefault = '{url}'").upstream["default"].url == url


@pytest.mark.parametrize(
    "url",
    [
        *("", "x", "x:80", "//x", "ftp://x", "http://", "http://:80", "http://x:65536"),
        *("http://x:y", "http://x:0", "http://[::1", "http://x/path", "http://x?q", "http://x#f"),
    ],
)
def test_what_is_no_url_of_an_upstream(tmp_path, url):
    with pytest.raises(UsageError, match="upstream s3: "):
        load_text(tmp_path, f"[upstream]\ns3 = '{url}'")


def test_a_url_with_a_password_is_refused_and_not_shown(tmp_path):
    with pytest.raises(UsageError, match="must not have a user name") as caught:
        load_text(tmp_path, f"[upstream]\ns3 = 'http://me:{SECRET}@x/path'")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [
        *("type = 1", "type = 'x'", "account = 'x'", "polcies = []", "policies = 'x'", "path = 5"),
        *("user_name = ['x']", "secret_access_key = 'again'"),
    ],
)
def test_no_mistake_beside_a_secret_shows_it(tmp_path, wrong):
    with pytest.raises(UsageError) as caught:
        load_text(tmp_path, f"[access_keys.AKIA]\nsecret_access_key = '{SECRET}'\n{wrong}")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        f"[access_keys.AKIA]\nsecret_access_key = ['{SECRET}']",
        f"[access_keys]\nAKIA = '{SECRET}'",
        f"access_keys = '{SECRET}'",
        f"[access_keys.AKIA]\nsecret_access_key = '{SECRET}",
    ],
)
def test_a_secret_in_the_wrong_place_or_form_is_not_shown(tmp_path, text):
    with pytest.raises(UsageError) as caught:
        load_text(tmp_path, text)
    assert SECRET not in str(caught.value)


def test_a_secret_is_in_no_repr(tmp_path):
    text = f"[access_keys.AKIA]\nsecret_access_key = '{SECRET}'\nuser_name = 'ada'"
    settings = load_text(tmp_path, text)
    assert settings.access_keys["AKIA"].secret_access_key == SECRET
    assert SECRET not in repr(settings) + str(settings) + repr(settings.access_keys)
    assert "ada" in repr(AccessKeySetting(user_name="ada"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "account = 123456789012",
            "account: Expected text, got a whole number: write it in double quotes",
        ),
        ("account = '12'", "account: it is twelve digits"),
        ("accounts = ['12']", "accounts[0]: it is twelve digits"),
        ("accounts = '123456789012'", "accounts: Expected a list, got text"),
        ("[bucket_owners]\nlogs = '12'", "bucket_owners[...]: it is twelve digits"),
        ("organization.members = ['x']", "organization.members[0]: it is twelve digits"),
        (
            "region = 'A B'",
            "region: it is a region: 32 lower-case letters, digits and dashes at most",
        ),
        ("listen = '127.0.0.1:1'", "listen: Expected a table, got text"),
        ("[webhooks.x]\nurl = 'https://x'", "webhooks.x: `secret` is missing"),
        ("log.retention_days = 'x'", "log.retention_days: Expected a number, got text"),
        ("delivery.trails_max = 0", "delivery.trails_max: Expected a whole number >= 1"),
        (
            "[access_keys.AKIAEXAMPLE]\naccount = 'x'",
            "access_keys.AKIAEXAMPLE.account: it is twelve digits",
        ),
    ],
)
def test_what_is_wrong_is_said_in_the_words_of_the_documents(tmp_path, text, said):
    with pytest.raises(UsageError) as refused:
        load_text(tmp_path, text)
    file = tmp_path / "opentrail.toml"
    assert str(refused.value) == f"{file}: {said}; see docs/configuration.md"
