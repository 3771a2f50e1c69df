# SPDX-License-Identifier: Apache-2.0
"""``opentrail env``: each form is read back by what it is for, or by its own grammar."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from support.certificates import Authority
from support.seeded_ids import SeededIds
from support.server import run

from opentrail.access.credentials import make_admin_key, read_credentials, write_credentials
from opentrail.eventlog.lock import DataLock

ACCOUNT = "123456789012"
SHOWN = {
    "AWS_ENDPOINT_URL": "http://127.0.0.1:4540",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "NO_PROXY": "127.0.0.1",
    "no_proxy": "127.0.0.1",
    "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
}


@pytest.fixture
def home(tmp_path):
    """A directory beside which a server was started once."""
    data = tmp_path / "opentrail-data"
    data.mkdir()
    write_credentials(data / "credentials", make_admin_key(ACCOUNT, SeededIds(1)))
    return tmp_path


@pytest.fixture
def expected(home):
    key = read_credentials(home / "opentrail-data" / "credentials", ACCOUNT)
    secrets = {
        "AWS_ACCESS_KEY_ID": key.access_key_id,
        "AWS_SECRET_ACCESS_KEY": key.secret_access_key,
    }
    return SHOWN | secrets


def env(home, *arguments: str) -> str:
    done = run("env", *arguments, home=home)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


SESSION = {"AWS_SESSION_TOKEN": "IQoJ", "AWS_CREDENTIAL_EXPIRATION": "2026-01-31T10:00:00Z"}
"""Of another key: ``aws configure export-credentials`` leaves it in a shell."""


@pytest.mark.parametrize("before", [{}, SESSION])
def test_sh_is_evaluated_by_sh(home, expected, before):
    script = 'set -eu; eval "$1"; exec env'
    done = subprocess.run(
        ["/bin/sh", "-c", script, "sh", env(home)],
        env={"PATH": os.defpath, **before},
        capture_output=True,
        text=True,
        check=True,
    )
    found = dict(line.split("=", 1) for line in done.stdout.splitlines())
    assert found.items() >= expected.items()
    assert not found.keys() & SESSION.keys()
    assert env(home, "--format", "sh") == env(home)


@pytest.mark.parametrize(
    ("form", "line", "unset"),
    [
        ("fish", r"set -gx (\w+) '?([^']*)'?", ["set -e " + " ".join(SESSION)]),
        (
            "powershell",
            r"\$Env:(\w+) = '([^']*)'",
            [f"Remove-Item Env:{name} -ErrorAction Ignore" for name in SESSION],
        ),
        ("dotenv", r"(\w+)=(.*)", []),
    ],
)
def test_the_other_shells_forms_line_by_line(home, expected, form, line, unset):
    found = {}
    texts = env(home, "--format", form).splitlines()
    for text in texts[: len(expected)]:
        match = re.fullmatch(line, text)
        assert match, text
        found[match[1]] = match[2]
    assert found == expected
    assert texts[len(expected) :] == unset


def test_terraform(home, expected):
    text = env(home, "--format", "terraform")
    values = dict(re.findall(r'^ +(\w+) += "([^"]*)"$', text, re.MULTILINE))
    assert text.startswith('provider "aws" {\n')
    assert text.count("{") == text.count("}") == 2
    assert values["secret_key"] == expected["AWS_SECRET_ACCESS_KEY"]
    assert values["access_key"] == expected["AWS_ACCESS_KEY_ID"]
    assert values["region"] == "us-east-1"
    assert values["cloudtrail"] == values["sts"] == SHOWN["AWS_ENDPOINT_URL"]


@pytest.mark.skipif(shutil.which("terraform") is None, reason="no terraform on this machine")
def test_terraform_reads_it_and_would_format_it_so(home):
    text = env(home, "--format", "terraform")
    done = subprocess.run(
        ["terraform", "fmt", "-"],
        env={"PATH": os.environ["PATH"], "HOME": str(home), "CHECKPOINT_DISABLE": "1"},
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, text), done.stderr


def test_flags_name_another_server(home, expected):
    flags = ("--listen", "[::1]:7", "--region", "eu-west-1", "--format", "dotenv")
    found = dict(line.split("=", 1) for line in env(home, *flags).splitlines())
    assert found["AWS_ENDPOINT_URL"] == "http://[::1]:7"
    assert found["NO_PROXY"] == "::1"
    assert found["AWS_REGION"] == found["AWS_DEFAULT_REGION"] == "eu-west-1"
    assert found["AWS_SECRET_ACCESS_KEY"] == expected["AWS_SECRET_ACCESS_KEY"]


def test_a_server_on_all_addresses_is_asked_at_its_own(home):
    (home / "o.toml").write_text("[listen]\naddress = '0.0.0.0:7'\nallow_insecure = true")
    assert "http://127.0.0.1:7" in env(home, "--config", "o.toml")


def test_a_port_that_is_chosen_at_start_must_be_named(home):
    done = run("env", "--listen", "127.0.0.1:0", home=home)
    assert (done.returncode, done.stdout) == (2, "")
    assert "name the server's with --listen" in done.stderr


def test_damaged_credentials_are_not_shown(home):
    (home / "opentrail-data" / "credentials").write_text("hush = hush")
    done = run("env", home=home)
    assert (done.returncode, done.stdout) == (2, "")
    assert "hush" not in done.stderr
    assert json.dumps(done.stderr).count("\\n") == 1


def with_certificate(home: Path, *, self_signed: bool) -> tuple[str, ...]:
    """Give the server a certificate; return the flags that say so."""
    authority = Authority(home)
    pair = authority.sign("server")
    shown = authority.file if self_signed else pair.cert
    (home / "o.toml").write_text(f'[listen]\ntls_cert = "{shown}"\ntls_key = "{pair.key}"\n')
    return "--config", "o.toml"


@pytest.mark.parametrize("form", ["sh", "fish", "powershell", "dotenv", "terraform"])
def test_a_certificate_of_ones_own_is_told_in_every_form(home, form):
    flags = with_certificate(home, self_signed=True)
    names = (
        ["custom_ca_bundle"] if form == "terraform" else ["AWS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"]
    )
    text = env(home, *flags, "--format", form)
    assert "https://127.0.0.1:4540" in text
    for name in names:
        (line,) = [line for line in text.splitlines() if name in line]
        assert str(home) in line
    flags = with_certificate(home, self_signed=False)
    assert "CA" not in env(home, *flags, "--format", form).replace("ca_bundle", "CA")
    more = f"tls_ca = '{home}/other \"CA\".pem'\n"
    (home / "o.toml").write_text((home / "o.toml").read_text() + more)
    text = env(home, *flags, "--format", form)
    assert ('other \\"CA\\".pem' if form == "terraform" else 'other "CA".pem') in text


def test_a_certificate_that_cannot_be_read_is_said(home):
    flags = with_certificate(home, self_signed=False)
    (home / "server.crt").write_text("nothing")
    done = run("env", *flags, home=home)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.search(r"listen.tls_cert: \S*server.crt cannot be read", done.stderr)


@pytest.mark.parametrize(
    ("address", "flags", "told"),
    [
        ("127.0.0.1:7802", [], True),
        ("127.0.0.1:7802", ["--listen", "127.0.0.1:9"], False),
        ("127.0.0.1:4540", [], False),
        ("opentrail fsck --rebuild", [], False),
    ],
)
def test_a_server_that_listened_elsewhere_is_told(home, address, flags, told):
    """Who starts a server on another port, and asks for the settings without it, gets those of no server."""
    DataLock.take(home / "opentrail-data", address).release()
    done = run("env", *flags, home=home)
    said = f"the last server of opentrail-data listened on {address}; for that one add --listen {address}"
    assert done.stderr == (f"opentrail: {said}\n" if told else "")
    assert done.returncode == 0
