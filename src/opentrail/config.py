# SPDX-License-Identifier: Apache-2.0
"""Settings: a TOML file, then ``OPENTRAIL_…`` variables, then flags, each stronger than the last.

An unknown key is an error that names the nearest known one: a mistyped security setting must not
be a silent default. The names are the sections of ``docs/configuration.md``.
"""

import difflib
import ipaddress
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

from opentrail.errors import UsageError

DATA_DEFAULT = "opentrail-data"
"""The data directory when none is given: beside where the server is started, easy to see."""
PORT_MAX = 65_535
LISTEN_DEFAULT = "127.0.0.1:4540"
ACCOUNT_DEFAULT = "123456789012"
"""The account number of AWS's own documentation."""
ENV_PREFIX = "OPENTRAIL_"
ENV_NOT_SETTINGS = frozenset({"OPENTRAIL_CONFIG", "OPENTRAIL_SHARED"})
"""Variables with our prefix that are no settings: the file's path; the test suite's own data."""

Account = Annotated[str, msgspec.Meta(pattern=r"^\d{12}$", description="twelve digits")]
Region = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9-]{1,32}$", description="a region's name")]
Positive = Annotated[float, msgspec.Meta(gt=0)]


class Listen(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where OpenTrail listens."""

    address: str = LISTEN_DEFAULT
    """HOST:PORT; port 0 takes a free one."""
    allow_insecure: bool = False
    """Listen beyond loopback without TLS or without authentication (a container needs that)."""
    allow_reset: bool = False
    """Offer ``POST /_opentrail/reset``, which begins a new, empty log."""
    hosts: tuple[str, ...] = ()
    """More host names under which the unsigned endpoints may be asked."""
    trusted_proxies: tuple[str, ...] = ()
    """Networks whose X-Forwarded-For is believed ("10.0.0.0/8")."""


class Api(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """OpenTrail's own API: who may call it."""

    auth: Literal["verify", "off"] = "verify"
    default_identity: str = ""
    """With auth = "off": the ARN that an unknown key stands for."""


class Forward(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How calls go on to the upstreams, and what of them is recorded."""

    mode: Literal["preserve"] = "preserve"
    """Host and signature reach the upstream as the client made them."""
    verify: bool = False
    """Refuse calls whose signature does not check out against a known key."""
    on_log_failure: Literal["refuse"] = "refuse"
    """When the log cannot be written, calls are refused before they are forwarded."""
    connect_timeout_s: Positive = 5.0
    timeout_s: Positive = 60.0
    """Longest silence of an upstream. botocore's own read timeout is 60 s."""
    service_profile: Literal["current", "2023"] = "current"
    """Which edition of AWS's documentation says whether InvokeEndpoint is recorded."""
    record_unlogged: bool = False
    """Record also what AWS does not (Personalize's runtime and events), as data events."""


class Upstream(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One upstream."""

    url: str
    trusted_identity: bool = False
    """Learn sessions from this upstream's STS answers."""
    verifies_signatures: bool = False
    """An answer other than a refusal proves that the caller's signature was good."""


class Log(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The event log."""

    retention_days: Positive = 400.0
    disk_reserve_bytes: Annotated[int, msgspec.Meta(ge=0)] = 256 * 1024 * 1024
    """Below this much free space the log refuses, before the disk is full."""


class History(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Event history."""

    lookup_window_days: Positive = 90.0
    """How far back LookupEvents sees, by eventTime. AWS: 90 days."""


class AccessKeySetting(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A key that OpenTrail knows: whose it is, and its secret where signatures are to be checked."""

    secret_access_key: str = ""
    type: Literal["IAMUser", "Root", "AssumedRole"] = "IAMUser"
    account: Account | None = None
    user_name: str = ""
    path: str = "/"
    principal_id: str = ""
    session_name: str = ""
    """Of an AssumedRole; ``user_name`` is then the role's name."""
    policies: tuple[str, ...] = ()
    """Built-in policy names, or files with an IAM policy document."""

    def __repr__(self) -> str:
        return f"AccessKeySetting({self.type} {self.user_name!r})"


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All settings."""

    data: str = DATA_DEFAULT
    account: Account = ACCOUNT_DEFAULT
    accounts: tuple[Account, ...] = ()
    """Accounts that calls may claim besides ``account``."""
    region: Region = "us-east-1"
    regions: tuple[Region, ...] = ()
    """Regions that calls may claim; empty: every well-formed one."""
    listen: Listen = Listen()
    api: Api = Api()
    forward: Forward = Forward()
    upstream: dict[str, Upstream] = {}
    """By service ("default" for all others): botocore's service name or the signing name."""
    log: Log = Log()
    history: History = History()
    access_keys: dict[str, AccessKeySetting] = {}

    @property
    def data_dir(self) -> Path:
        """The data directory."""
        return Path(self.data)


def load(file: Path | None, environ: Mapping[str, str], flags: Mapping[str, object]) -> Settings:
    """Return the settings of ``file``, ``environ`` and ``flags``, the later ones winning.

    ``flags`` maps dotted names ("listen.address") to values; None means not given.
    Raises: UsageError: one line that says which key, and what to write instead.
    """
    tree: dict[str, object] = {}
    source = str(file) if file is not None else "settings"
    if file is not None:
        tree = _read_file(file)
    _expand_upstreams(tree)
    for name, text in environ.items():
        if name.startswith(ENV_PREFIX) and name not in ENV_NOT_SETTINGS:
            _set(tree, _dotted(name), text)
    for dotted, value in flags.items():
        if value is not None:
            _set(tree, dotted, value)
    _refuse_unknown(tree, Settings, "", source)
    try:
        settings = msgspec.convert(tree, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise UsageError(f"{source}: {error}; see docs/configuration.md") from error
    _check(settings)
    return settings


def split_address(address: str) -> tuple[str, int]:
    """Return host and port of "HOST:PORT" (IPv6 in brackets). Raises: UsageError."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    if not host or not port.isdigit() or int(port) > PORT_MAX:
        raise UsageError(
            f"listen address {address!r} is not HOST:PORT (for example {LISTEN_DEFAULT})"
        )
    return host, int(port)


def is_loopback(host: str) -> bool:
    """Return whether ``host`` reaches this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _read_file(file: Path) -> dict[str, object]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} is not TOML: {error}") from error


def _expand_upstreams(tree: dict[str, object]) -> None:
    """Turn ``sagemaker = "http://…"`` into its table; options beside it hold for all of them."""
    table = tree.get("upstream")
    if not isinstance(table, dict):
        return
    options = {k: table.pop(k) for k in ("trusted_identity", "verifies_signatures") if k in table}
    for service, value in table.items():
        entry = {"url": value} if isinstance(value, str) else value
        table[service] = {**options, **entry} if isinstance(entry, dict) else entry


def _dotted(variable: str) -> str:
    """Return "listen.address" for OPENTRAIL_LISTEN_ADDRESS, and so on."""
    name = variable.removeprefix(ENV_PREFIX).lower()
    for section in ("listen", "api", "forward", "log", "history"):
        if name.startswith(section + "_"):
            return f"{section}.{name[len(section) + 1 :]}"
    if name == "upstream" or name.startswith("upstream_"):
        service = name[len("upstream_") :].replace("_", "-") or "default"
        return f"upstream.{service}.url"
    return name


def _set(tree: dict[str, object], dotted: str, value: object) -> None:
    *path, last = dotted.split(".")
    node = tree
    for part in path:
        child = node.setdefault(part, {})
        if not isinstance(child, dict):
            raise UsageError(f"{dotted}: {part} is a table, not {child!r}")
        node = child
    if isinstance(value, str) and last in _LISTS:
        node[last] = [item.strip() for item in value.split(",") if item.strip()]
    else:
        node[last] = value


_LISTS = frozenset({"accounts", "regions", "hosts", "trusted_proxies"})


def _refuse_unknown(tree: Mapping[str, object], shape: type, prefix: str, source: str) -> None:
    known = {field.encode_name: field.type for field in msgspec.structs.fields(shape)}
    for key, value in tree.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.0)
            raise UsageError(
                f"{source}: unknown setting {prefix}{key!s}; did you mean {prefix}{near[0]}?"
            )
        inner = known[key]
        if (
            isinstance(value, dict)
            and isinstance(inner, type)
            and issubclass(inner, msgspec.Struct)
        ):
            _refuse_unknown(value, inner, f"{prefix}{key}.", source)
        for entry_shape, table in (("upstream", Upstream), ("access_keys", AccessKeySetting)):
            if key == entry_shape and not prefix and isinstance(value, dict):
                for name, entry in value.items():
                    if isinstance(entry, dict):
                        _refuse_unknown(entry, table, f"{key}.{name}.", source)


def _check(settings: Settings) -> None:
    host, _ = split_address(settings.listen.address)
    if not is_loopback(host) and not settings.listen.allow_insecure:
        raise UsageError(
            f"listening on {host} without TLS lets others on the network read and forge calls;"
            " use a loopback address, or --allow-insecure if something else protects it"
        )
    for service, upstream in settings.upstream.items():
        parts = urlsplit(upstream.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"upstream {service}: {upstream.url!r} is not an http(s) URL")
        if parts.path not in ("", "/") or parts.query:
            raise UsageError(f"upstream {service}: {upstream.url!r} must not have a path or query")
    for network in settings.listen.trusted_proxies:
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            raise UsageError(f"listen.trusted_proxies: {error}") from error
