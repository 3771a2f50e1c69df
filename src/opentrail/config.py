# SPDX-License-Identifier: Apache-2.0
"""Settings: a TOML file, then ``OPENTRAIL_…`` variables, then flags, each stronger than the last.

An unknown key is an error that names the nearest known one: a mistyped security setting must not
be a silent default. The names are the sections of ``docs/configuration.md``.
"""

import difflib
import ipaddress
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal, TypeVar
from urllib.parse import SplitResult, urlsplit

import msgspec

from opentrail.errors import UsageError
from opentrail.objects.setting import BucketSetting
from opentrail.objects.setting import check as check_bucket

DATA_DEFAULT = "opentrail-data"
"""The data directory when none is given: beside where the server is started, easy to see."""
PORT_MAX = 65_535
LISTEN_DEFAULT = "127.0.0.1:4540"
ACCOUNT_DEFAULT = "123456789012"
"""The account number of AWS's own documentation."""
REGION_DEFAULT = "us-east-1"
ENV_PREFIX = "OPENTRAIL_"
ENV_NOT_SETTINGS = frozenset({"OPENTRAIL_CONFIG", "OPENTRAIL_SHARED"})
"""Variables with our prefix that are no settings: the file's path; the test suite's own data."""

TIMEOUT_S_MAX = 3600.0
"""An hour: far past every synchronous answer of AWS, and no way to write "for ever"."""
DAYS_MAX = 36_500.0
"""A century: keeps times in milliseconds, and their differences, in range."""

# \Z, for $ lets a newline pass at the end.
Account = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{12}\Z")]
Region = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9-]{1,32}\Z")]
Directory = Annotated[str, msgspec.Meta(pattern=r"^[^\0]+\Z")]
AccountProfile = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{12}=[^=]+\Z")]
Timeout = Annotated[float, msgspec.Meta(gt=0, le=TIMEOUT_S_MAX)]
Days = Annotated[float, msgspec.Meta(gt=0, le=DAYS_MAX)]
Interval = Annotated[float, msgspec.Meta(ge=0.1, le=86_400)]
"""Seconds; a tenth is for tests, a day is the longest that evidence should wait."""


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
    connect_timeout_s: Timeout = 5.0
    timeout_s: Timeout = 60.0
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

    retention_days: Days = 400.0
    disk_reserve_bytes: Annotated[int, msgspec.Meta(ge=0)] = 256 * 1024 * 1024
    """Below this much free space the log refuses, before the disk is full."""


class History(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Event history."""

    lookup_window_days: Days = 90.0
    """How far back LookupEvents sees, by eventTime. AWS: 90 days."""


class Delivery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Trails: when log files end, and digests."""

    file_interval_s: Interval = 300.0
    """A trail's log files are cut this often. AWS: about every 5 minutes."""
    digest_interval_s: Annotated[int, msgspec.Meta(ge=1, le=86_400)] = 3600
    """Length of a digest's window. AWS: an hour."""


class Tuning(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who asks the upstream which training jobs a tuning job starts and stops."""

    credentials_profile: str = ""
    """A profile of the AWS shared files that may list tuning jobs; "": nobody asks."""
    profiles: tuple[AccountProfile, ...] = ()
    """ACCOUNT=PROFILE: profiles of single accounts, stronger than ``credentials_profile``."""
    poll_interval_s: Interval = 10.0
    """How often a tuning job that has not ended is asked about."""


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

    data: Directory = DATA_DEFAULT
    account: Account = ACCOUNT_DEFAULT
    accounts: tuple[Account, ...] = ()
    """Accounts that calls may claim besides ``account``."""
    region: Region = REGION_DEFAULT
    regions: tuple[Region, ...] = ()
    """Regions that calls may claim; empty: every well-formed one."""
    listen: Listen = Listen()
    api: Api = Api()
    forward: Forward = Forward()
    upstream: dict[str, Upstream] = {}
    """By service ("default" for all others): botocore's service name or the signing name."""
    log: Log = Log()
    history: History = History()
    delivery: Delivery = Delivery()
    tuning: Tuning = Tuning()
    buckets: dict[str, BucketSetting] = {}
    """By name. A bucket without an entry is the upstream's, or a directory when there is none."""
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
    tree = _Tree(str(file) if file is not None else "settings")
    if file is not None:
        tree.values = _read_file(file)
    options = _upstream_options(tree.values)
    for name, text in environ.items():
        if name.startswith(ENV_PREFIX) and name not in ENV_NOT_SETTINGS:
            tree.set(_dotted(name), text, name)
    for dotted, value in flags.items():
        if value is not None:
            tree.set(dotted, value, "the command line")
    _refuse_unknown(tree)
    settings = _converted(tree, options)
    _check(settings)
    return settings


def split_address(address: str) -> tuple[str, int]:
    """Return host and port of "HOST:PORT" (IPv6 in brackets). Raises: UsageError."""
    found = _ADDRESS.fullmatch(address)
    if found is None or int(found[3]) > PORT_MAX:
        raise UsageError(
            f"listen address {address!r} is not HOST:PORT (for example {LISTEN_DEFAULT})"
        )
    return found[1] or found[2], int(found[3])


_ADDRESS = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:\s\0]+)):([0-9]{1,5})")


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


class _Tree:
    """Settings as nested tables, and where each of them was said."""

    def __init__(self, source: str) -> None:
        """``source`` says all that is not said elsewhere."""
        self.values: dict[str, object] = {}
        self._source = source
        self._sources: dict[str, str] = {}

    def source(self, dotted: str) -> str:
        """Return who says ``dotted``: the file, a variable, the command line."""
        return self._sources.get(dotted, self._source)

    def set(self, dotted: str, value: object, source: str) -> None:
        """Set one setting. Raises: UsageError: the file has something else where its table is."""
        *path, last = dotted.split(".")
        node = self.values
        for part in path:
            child = node.setdefault(part, {})
            if not isinstance(child, dict):
                raise UsageError(
                    f"{self._source}: {part} is a table ([{part}]), not a value of its own"
                )
            node = child
        if isinstance(value, str) and last in _LISTS:
            value = [item.strip() for item in value.split(",") if item.strip()]
        node[last] = value
        self._sources[dotted] = source


_LISTS = frozenset({"accounts", "regions", "hosts", "trusted_proxies", "profiles"})
_FILE_ONLY = ("access_keys", "buckets")
_UPSTREAM_OPTIONS = ("trusted_identity", "verifies_signatures")
_SECTIONS = ("listen", "api", "forward", "log", "history", "delivery", "tuning")
_TABLES: dict[str, type[msgspec.Struct]] = {
    "upstream": Upstream,
    "buckets": BucketSetting,
    "access_keys": AccessKeySetting,
}


def _upstream_options(values: dict[str, object]) -> dict[str, object]:
    """Turn ``sagemaker = "http://…"`` into its table; return what holds for all upstreams."""
    table = values.get("upstream")
    if not isinstance(table, dict):
        return {}
    options = {name: table.pop(name) for name in _UPSTREAM_OPTIONS if name in table}
    for service, value in table.items():
        table[service] = {"url": value} if isinstance(value, str) else value
    return options


def _dotted(variable: str) -> str:
    """Return "listen.address" for OPENTRAIL_LISTEN_ADDRESS, and so on.

    Raises: UsageError: what it names can be set in the file only.
    """
    name = variable.removeprefix(ENV_PREFIX).lower()
    if name.startswith(_FILE_ONLY) or name.endswith(_UPSTREAM_OPTIONS):
        raise UsageError(f"{variable}: this can be set in the settings file only (--config)")
    if name in _SECTIONS:
        raise UsageError(f"{variable}: {name} is a table; name a setting of it: {variable}_…")
    for section in _SECTIONS:
        if name.startswith(section + "_"):
            return f"{section}.{name[len(section) + 1 :]}"
    if name == "upstream" or name.startswith("upstream_"):
        service = name[len("upstream_") :].replace("_", "-") or "default"
        return f"upstream.{service}.url"
    return name


def _refuse_unknown(tree: _Tree) -> None:
    """Refuse what is no setting, and name the nearest. Raises: UsageError."""
    for prefix, table, shape in _shaped_tables(tree.values):
        known = [field.encode_name for field in msgspec.structs.fields(shape)]
        for key in table:
            if key not in known:
                near = difflib.get_close_matches(key, known, n=1, cutoff=0.0)[0]
                said = f"{tree.source(prefix + key)}: unknown setting {prefix}{key}"
                raise UsageError(f"{said}; did you mean {prefix}{near}?")


def _shaped_tables(
    values: dict[str, object],
) -> Iterator[tuple[str, dict[str, object], type[msgspec.Struct]]]:
    """Yield each table that has a shape: its prefix, itself, its shape."""
    yield "", values, Settings
    for field in msgspec.structs.fields(Settings):
        value = values.get(field.encode_name)
        if not isinstance(value, dict):
            continue
        if field.encode_name in _SECTIONS:
            yield f"{field.encode_name}.", value, field.type
        for name, entry in value.items() if field.encode_name in _TABLES else ():
            if isinstance(entry, dict):
                yield f"{field.encode_name}.{name}.", entry, _TABLES[field.encode_name]


def _converted(tree: _Tree, options: dict[str, object]) -> Settings:
    """Return the typed settings. Raises: UsageError, which names the setting, never its value."""
    values = dict(tree.values)
    for section, shape in _TABLES.items():
        table = values.get(section, {})
        if isinstance(table, dict):
            common = options if section == "upstream" else {}
            values[section] = {
                name: _convert(tree, f"{section}.{name}", _with(common, entry), shape)
                for name, entry in table.items()
            }
    return _convert(tree, "", values, Settings)


def _with(common: dict[str, object], entry: object) -> object:
    return {**common, **entry} if isinstance(entry, dict) else entry


_T = TypeVar("_T")


def _convert(tree: _Tree, dotted: str, value: object, shape: type[_T]) -> _T:
    try:
        return msgspec.convert(value, shape, strict=False)
    except msgspec.ValidationError as error:
        said, _, path = str(error).partition(" - at `$.")
        name = ".".join(filter(None, (dotted, path.rstrip("`"))))
        raise UsageError(
            f"{tree.source(name)}: {name}: {said}; see docs/configuration.md"
        ) from error


def _check(settings: Settings) -> None:
    host, _ = split_address(settings.listen.address)
    if not is_loopback(host) and not settings.listen.allow_insecure:
        raise UsageError(
            f"listening on {host} without TLS lets others on the network read and forge calls;"
            " use a loopback address, or --allow-insecure if something else protects it"
        )
    for name, bucket in settings.buckets.items():
        check_bucket(name, bucket)
    for service, upstream in settings.upstream.items():
        _check_url(service, upstream.url)
    for network in settings.listen.trusted_proxies:
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            raise UsageError(f"listen.trusted_proxies: {error}") from error


def _check_url(service: str, url: str) -> None:
    if "@" in url:  # and is not shown: it may have a password
        raise UsageError(f"upstream {service}: the URL must not have a user name or password")
    parts = _split_url(url)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"upstream {service}: {url!r} is not an http(s) URL")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise UsageError(f"upstream {service}: {url!r} must not have a path or query")


def _split_url(url: str) -> SplitResult | None:
    """Return the parts of ``url``; None when its port or IPv6 address is none."""
    try:
        parts = urlsplit(url)
        known = parts.port != 0
    except ValueError:
        return None
    return parts if known else None
