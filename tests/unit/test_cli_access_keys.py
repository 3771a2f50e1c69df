# SPDX-License-Identifier: Apache-2.0
"""``opentrail access-keys``: whose keys are, without a secret where none belongs."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from opentrail.access.keys import account_of
from opentrail.cli.main import cli
from opentrail.config import load
from opentrail.front.key_file import KEYS_MAX, change_key_file, read_key_file
from opentrail.front.keys import key_file, stated_keys

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
KEY_ID = "AKIAQAAAAAAAAAAAAAAB"


class Shell:
    """Runs ``opentrail access-keys`` over one data directory."""

    def __init__(self, folder: Path) -> None:
        self.settings = load(None, {"OPENTRAIL_DATA": str(folder / "data")}, {})
        self.outputs = ""

    def run(self, *arguments: str, stdin: str = "") -> Result:
        command = ["access-keys", arguments[0], "--data", self.settings.data, *arguments[1:]]
        result = CliRunner().invoke(cli, command, input=stdin)
        self.outputs += result.output
        return result

    def good(self, *arguments: str, stdin: str = "") -> str:
        result = self.run(*arguments, stdin=stdin)
        assert result.exit_code == 0, (result.output, result.exception)
        return result.stdout

    def listed(self) -> list[dict[str, object]]:
        found: list[dict[str, object]] = json.loads(self.good("list", "--json"))
        return found


@pytest.fixture
def shell(tmp_path):
    return Shell(tmp_path)


def test_a_pair_is_made_and_shown_once(shell):
    made = json.loads(shell.good("add", "--user", "ada", "--account", "999999999999", "--json"))
    assert account_of(made["accessKeyId"]) == "999999999999"
    assert len(made["secretAccessKey"]) == 40
    (key,) = stated_keys(shell.settings)
    assert (key.access_key_id, key.secret_access_key) == tuple(made.values())[::2]
    assert key.principal_id.startswith("AIDA")
    assert len(key.principal_id) == 21
    assert key_file(shell.settings).stat().st_mode & 0o777 == 0o600
    shown = shell.good("list") + shell.good("list", "--json")
    assert made["secretAccessKey"] not in shown
    assert "arn:aws:iam::999999999999:user/ada" in shown


def test_a_list_cuts_nothing_however_narrow_the_terminal(shell, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    made = json.loads(shell.good("add", "--user", "ada", "--path", f"/{'team/' * 30}", "--json"))
    _, line = shell.good("list").splitlines()
    owner = f"arn:aws:iam::123456789012:user/{'team/' * 30}ada"
    cells = (made["accessKeyId"], "IAMUser", "123456789012", owner, "yes", "access-keys")
    assert tuple(line.split()) == cells


def test_an_id_with_its_secret_from_standard_input(shell):
    shell.good("add", KEY_ID, "--role", "Deploy", "--session", "ci", stdin=SECRET + "\n")
    (key,) = stated_keys(shell.settings)
    assert (key.access_key_id, key.secret_access_key) == (KEY_ID, SECRET)
    assert key.arn == "arn:aws:sts::123456789012:assumed-role/Deploy/ci"
    assert SECRET not in shell.outputs


@pytest.mark.parametrize(
    ("options", "type_", "owner"),
    [
        (["--root"], "Root", "arn:aws:iam::123456789012:root"),
        (["--federated", "bob"], "FederatedUser", "arn:aws:sts::123456789012:federated-user/bob"),
        (["--service", "sagemaker.amazonaws.com"], "AWSService", "sagemaker.amazonaws.com"),
        (["--identity-center", "u-1", "--identity-store", "arn:x"], "IdentityCenterUser", "u-1"),
        (["--user", "ada", "--from-console"], "IAMUser", "arn:aws:iam::123456789012:user/ada"),
    ],
)
def test_every_owner(shell, options, type_, owner):
    shell.good("add", KEY_ID, "--no-secret", *options)
    (row,) = shell.listed()
    assert (row["type"], row["owner"], row["secret"]) == (type_, owner, False)


def test_remove(shell):
    shell.good("add", KEY_ID, "--no-secret", "--root")
    shell.good("remove", KEY_ID)
    assert shell.listed() == []
    result = shell.run("remove", KEY_ID)
    assert "was not added here" in str(result.exception)


CSV = f"\ufeffUser name,Password,Access key ID,Secret access key\nada,,{KEY_ID},{SECRET}\n"
INI = f"[ada]\naws_access_key_id={KEY_ID}\naws_secret_access_key={SECRET}\naws_session_token=t\n"
JSON = json.dumps(
    {"AccessKey": {"UserName": "ada", "AccessKeyId": KEY_ID, "SecretAccessKey": SECRET}}
)


@pytest.mark.parametrize("text", [CSV, INI, JSON, f"[{JSON}]"])
def test_import(shell, tmp_path, text):
    file = tmp_path / "keys"
    file.write_text(text, encoding="utf-8")
    assert shell.good("import", str(file)).startswith("imported 1")
    (key,) = stated_keys(shell.settings)
    assert (key.access_key_id, key.secret_access_key, key.user_name) == (KEY_ID, SECRET, "ada")
    assert key.session_token == ("t" if text == INI else "")
    assert "there already" in str(shell.run("import", str(file)).exception)
    shell.good("import", str(file), "--replace", "--role", "Deploy", "--session", "ci")
    (key,) = stated_keys(shell.settings)
    assert key.type == "AssumedRole"
    assert SECRET not in shell.outputs


@pytest.mark.parametrize(
    "text", ["", "{", "[[[", "a,b\n1,2\n", "[x]\naws_access_key_id=\n", "\x00", "{}", "[" * 10_000]
)
def test_a_file_without_keys_is_refused(shell, tmp_path, text):
    file = tmp_path / "keys"
    file.write_text(text, encoding="utf-8")
    assert "has no access keys" in str(shell.run("import", str(file)).exception)


@pytest.mark.parametrize(
    "arguments",
    [
        ("add",),
        ("add", "--user", "ada", "--root"),
        ("add", SECRET, "--user", "ada"),
        ("add", "AKIA", "--user", "ada"),
        ("add", KEY_ID, "--user", "ada"),
        ("add", "--role", "Deploy"),
        ("add", "--user", "ada", "--account", "12"),
        ("add", KEY_ID, "--no-secret", "--user", "ada", "--policy", "Nope"),
    ],
)
def test_what_makes_no_key_is_refused(shell, arguments):
    result = shell.run(*arguments)
    assert result.exit_code != 0
    assert SECRET not in result.output + str(result.exception)
    assert not key_file(shell.settings).exists()


def test_the_administrators_key_stays_its_own(shell):
    folder = Path(shell.settings.data)
    folder.mkdir()
    (folder / "credentials").write_text(
        f"[default]\naws_access_key_id={KEY_ID}\naws_secret_access_key={SECRET}\n"
    )
    assert "administrator's" in str(shell.run("add", KEY_ID, "--no-secret", "--root").exception)
    assert [row["source"] for row in shell.listed()] == ["administrator"]


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b'{"version":2,"keys":{}}', b'{"keys":{}}'])
def test_a_damaged_file_is_said_and_kept(shell, data):
    path = key_file(shell.settings)
    path.parent.mkdir()
    path.write_bytes(data)
    assert str(path) in str(shell.run("add", "--root").exception)
    assert path.read_bytes() == data


def test_the_number_of_keys_is_bounded(shell):
    path = key_file(shell.settings)
    shell.good("add", KEY_ID, "--no-secret", "--root")
    root = read_key_file(path)[KEY_ID]
    more = {f"AKIA{number:016d}": root for number in range(KEYS_MAX - 1)}
    change_key_file(path, lambda keys: keys.update(more))
    assert len(read_key_file(path)) == KEYS_MAX
    assert str(KEYS_MAX) in str(shell.run("add", "--root").exception)
