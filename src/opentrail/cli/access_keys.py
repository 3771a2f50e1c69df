# SPDX-License-Identifier: Apache-2.0
"""``opentrail access-keys``: whose the access keys are that call.

A running server takes up changes within a second. Secrets are never arguments, and are shown once:
when a pair is made.
"""

import base64
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import click
import msgspec
from rich.table import Table

from opentrail.access.keys import AccessKey, make_access_key_id
from opentrail.cli.access_keys_import import read_pairs
from opentrail.cli.colour import print_table
from opentrail.cli.options import Command, Group, data_options, settings_of
from opentrail.clock import SystemIds
from opentrail.config import AccessKeySetting, Settings
from opentrail.errors import UsageError
from opentrail.event.safe import safe
from opentrail.front.key_file import Keys, change_key_file, read_key_file
from opentrail.front.keys import (
    access_key,
    configured_keys,
    credentials_file,
    key_file,
    stated_keys,
)

SECRET_BYTES = 30
"""Forty characters of base64, as AWS's secret keys have."""
UNIQUE_ID_BYTES = 10
"""Sixteen characters of base32 behind AIDA and A: 21 in all, as IAM's unique ids have."""
KEY_ID_CHARS_MIN, KEY_ID_CHARS_MAX = 16, 128
"""IAM's own bounds of an access key id."""


@dataclass(frozen=True, slots=True)
class _Pair:
    access_key_id: str
    secret: str = field(repr=False)
    made: bool


@click.group("access-keys", cls=Group)
def command() -> None:
    """Say whose the access keys are that call.

    A running server takes it up within a second. Calls with other keys are recorded as Unknown,
    unless STS or IAM said whose they are:

      opentrail access-keys add --user ada                  make a pair for the user ada
      opentrail access-keys add AKIAEXAMPLE000000000 --user ada < secret.txt
      opentrail access-keys add --role Deploy --session ci --account 123456789012
      opentrail access-keys add --service sagemaker.amazonaws.com
      opentrail access-keys import ~/Downloads/ada_accessKeys.csv
      opentrail access-keys list
    """


def _owner_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say whose a key is."""
    options = (
        click.option("--user", help="An IAM user of this name."),
        click.option("--root", is_flag=True, help="The account's root."),
        click.option("--role", help="A session of this role; --session names the session."),
        click.option("--session", help="The role session's name."),
        click.option("--federated", help="A federated user of this name."),
        click.option("--identity-center", metavar="USER-ID", help="A user of IAM Identity Center."),
        click.option("--identity-store", metavar="ARN", help="Its identity store."),
        click.option("--credential-id", help="Its bearer token's id."),
        click.option("--service", help="The service that calls; alone: a service itself."),
        click.option("--account", "owner_account", help="Whose account; else the default one."),
        click.option("--path", help="IAM path of the user or role, such as /team/."),
        click.option("--principal-id", help="The unique id, such as AIDA… or AROA…."),
        click.option("--source-identity", help="The session's source identity."),
        click.option("--from-console", is_flag=True, help="Born in a console's session."),
        click.option("--policy", multiple=True, help="What it may do in CloudTrail's own API."),
    )
    for option in reversed(options):
        function = option(function)
    return function


@command.command("add", cls=Command)
@data_options
@click.argument("access_key_id", required=False)
@_owner_options
@click.option("--no-secret", is_flag=True, help="Name the owner only: signatures stay unchecked.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def add(access_key_id: str | None, *, no_secret: bool, as_json: bool, **said: object) -> None:
    """Add a key, or make a pair for an owner.

    Without ACCESS-KEY-ID a pair is made, and its secret is shown this once. With one its secret
    is read from standard input, or asked for.

      opentrail access-keys add --user ada --policy CloudTrailReadOnlyAccess
      opentrail access-keys add AKIAEXAMPLE000000000 --role Deploy --session ci --no-secret
    """
    settings = _settings(said)
    if access_key_id is None:
        account = str(said["owner_account"] or settings.account)
        pair = _made(account, long_term=not said["role"] and not said["federated"])
    else:
        pair = _Pair(_checked_id(access_key_id), "" if no_secret else _read_secret(), made=False)
    setting = _setting({**_owner(said), "secret_access_key": pair.secret}, made=pair.made)
    _add(settings, {pair.access_key_id: setting})
    _show_added(pair, setting, as_json=as_json)


@command.command("list", cls=Command)
@data_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(*, as_json: bool, **said: object) -> None:
    """List the keys that the server knows, and whose they are; never a secret.

    opentrail access-keys list --json
    """
    settings = _settings(said)
    filed = read_key_file(key_file(settings))
    sources = dict.fromkeys(settings.access_keys, "settings") | dict.fromkeys(filed, "access-keys")
    started = credentials_file(settings).exists()
    keys = configured_keys(settings) if started else stated_keys(settings)
    rows: list[dict[str, object]] = [
        {
            "accessKeyId": key.access_key_id,
            "type": key.type.value,
            "accountId": key.account,
            "owner": key.arn or key.invoked_by or key.principal_id or _for_whom(key),
            "secret": bool(key.secret_access_key),
            "source": sources.get(key.access_key_id, "administrator"),
        }
        for key in keys
    ]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    else:
        _show_table(rows)


@command.command("remove", cls=Command)
@data_options
@click.argument("access_key_ids", metavar="ACCESS-KEY-ID...", nargs=-1, required=True)
def remove(access_key_ids: tuple[str, ...], **said: object) -> None:
    """Remove keys; calls with them are recorded as Unknown from now on.

    opentrail access-keys remove AKIAEXAMPLE000000000
    """
    settings = _settings(said)

    def change(keys: Keys) -> None:
        for access_key_id in access_key_ids:
            if keys.pop(access_key_id, None) is None:
                where = _where_else(settings, access_key_id)
                raise UsageError(f"{safe(access_key_id)} was not added here{where}")

    change_key_file(key_file(settings), change)
    click.echo(f"removed {len(access_key_ids)}")


@command.command("import", cls=Command)
@data_options
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_owner_options
@click.option(
    "--replace", "replaces", is_flag=True, help="Keys that are there already are replaced."
)
def import_(file: Path, *, replaces: bool, **said: object) -> None:
    """Add the keys of a file: AWS's CSV, shared credentials, or JSON.

    The owner is the user that the file names, of shared credentials the profile; options say
    otherwise for all of its keys. JSON is what `aws iam create-access-key` prints, one or a list.

      opentrail access-keys import ~/.aws/credentials --account 123456789012
    """
    settings = _settings(said)
    owner = _owner(said, required=False)
    found = {}
    for pair in read_pairs(file):
        named = {} if "type" in owner or not pair.user_name else {"user_name": pair.user_name}
        secrets = {"secret_access_key": pair.secret, "session_token": pair.session_token}
        found[_checked_id(pair.access_key_id)] = _setting({**named, **owner, **secrets}, made=False)
    _add(settings, found, replaces=replaces)
    click.echo(f"imported {len(found)} from {file}")


def _for_whom(key: AccessKey) -> str:
    return key.on_behalf_of.user_id if key.on_behalf_of else ""


def _settings(said: dict[str, object]) -> Settings:
    config, data, listen = (said.pop(name) for name in ("config", "data", "listen"))
    assert config is None or isinstance(config, Path)
    return settings_of(config, {"data": data, "listen.address": listen})


def _owner(said: dict[str, object], *, required: bool = True) -> dict[str, object]:
    """Return the setting that the options make, as far as they say something."""
    kinds = {
        "user": "IAMUser",
        "root": "Root",
        "role": "AssumedRole",
        "federated": "FederatedUser",
        "identity_center": "IdentityCenterUser",
    }
    given = [name for name in kinds if said[name]]
    if len(given) > 1:
        raise UsageError("a key has one owner: " + " or ".join("--" + name for name in given))
    owner: dict[str, object] = {
        name: said[option] for option, name in _SAID.items() if said.get(option)
    }
    if given:
        owner["type"] = kinds[given[0]]
        if given[0] in ("user", "role", "federated"):
            owner["user_name"] = said[given[0]]
    elif said["service"]:
        owner["type"] = "AWSService"
    elif required:
        raise UsageError("whose key is it? say --user, --role, --root, --service, --federated, …")
    return owner


_SAID = {
    "session": "session_name",
    "identity_center": "user_id",
    "identity_store": "identity_store_arn",
    "credential_id": "credential_id",
    "service": "service",
    "owner_account": "account",
    "path": "path",
    "principal_id": "principal_id",
    "source_identity": "source_identity",
    "from_console": "from_console",
    "policy": "policies",
}
"""Option -> setting."""


def _setting(owner: dict[str, object], *, made: bool) -> AccessKeySetting:
    """Return the setting; an owner that is new here gets a unique id as IAM would give it."""
    prefix = {"IAMUser": "AIDA", "AssumedRole": "AROA"}.get(str(owner.get("type")), "")
    if made and prefix and "principal_id" not in owner:
        unique = base64.b32encode(SystemIds().random_bytes(UNIQUE_ID_BYTES)).decode()
        owner["principal_id"] = f"{prefix}A{unique}"
    try:
        return msgspec.convert(owner, AccessKeySetting)
    except msgspec.ValidationError as error:
        _, _, path = str(error).partition(" - at `$.")
        raise UsageError(f"{path.rstrip('`') or 'the key'} cannot be that") from None


def _made(account: str, *, long_term: bool) -> _Pair:
    if len(account) != len("123456789012") or not account.isdigit():
        raise UsageError(f"--account {safe(account)!r} is not twelve digits")
    ids = SystemIds()
    access_key_id = make_access_key_id(account, ids, "AKIA" if long_term else "ASIA")
    return _Pair(
        access_key_id, base64.b64encode(ids.random_bytes(SECRET_BYTES)).decode(), made=True
    )


def _read_secret() -> str:
    if sys.stdin.isatty():
        secret = str(click.prompt("Secret access key", hide_input=True))
    else:
        secret = sys.stdin.readline().strip()
    if not secret:
        raise UsageError("no secret on standard input; --no-secret names the owner only")
    return secret


def _checked_id(access_key_id: str) -> str:
    good = access_key_id.isascii() and access_key_id.isalnum()
    if not good or not KEY_ID_CHARS_MIN <= len(access_key_id) <= KEY_ID_CHARS_MAX:
        # It may be a secret, put in the wrong place: it is not repeated.
        raise UsageError("that is no access key id: 16 to 128 letters and digits, such as AKIA…")
    return access_key_id


def _add(settings: Settings, found: Keys, *, replaces: bool = False) -> None:
    for access_key_id, setting in found.items():
        access_key(access_key_id, setting, settings.account)  # refuses what makes no identity

    def change(keys: Keys) -> None:
        for access_key_id in found:
            if where := _where_else(settings, access_key_id):
                raise UsageError(f"{access_key_id} is known{where}")
            if access_key_id in keys and not replaces:
                raise UsageError(f"{access_key_id} is there already: remove it first")
        keys.update(found)

    change_key_file(key_file(settings), change)


def _where_else(settings: Settings, access_key_id: str) -> str:
    if access_key_id in settings.access_keys:
        return ": it is in the settings file"
    credentials = credentials_file(settings)
    if credentials.exists() and access_key_id in credentials.read_text(encoding="utf-8"):
        return ": it is the administrator's"
    return ""


def _show_added(pair: _Pair, setting: AccessKeySetting, *, as_json: bool) -> None:
    shown = {"accessKeyId": pair.access_key_id, "type": setting.type}
    if pair.made:
        shown["secretAccessKey"] = pair.secret
    if as_json:
        click.echo(json.dumps(shown, indent=2))
        return
    click.echo(f"added {pair.access_key_id}")
    if pair.made:
        click.echo(f"secret {pair.secret}")
        click.echo("It is not shown again.", err=True)


def _show_table(rows: list[dict[str, object]]) -> None:
    table = Table(box=None, pad_edge=False)
    for title in ("key", "type", "account", "owner", "secret", "from"):
        table.add_column(title, no_wrap=True)
    for row in rows:
        told = {**row, "secret": "yes" if row["secret"] else "no"}
        table.add_row(*(safe(str(cell)) for cell in told.values()))
    print_table(table, folds=False)
