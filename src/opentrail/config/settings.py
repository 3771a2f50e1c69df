# SPDX-License-Identifier: Apache-2.0
"""All settings: their shapes, defaults and bounds.

The names are those of ``docs/configuration.md``.
"""

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from opentrail.config.access_key import AccessKeySetting
from opentrail.config.identity import ClientCertificate, Jwt, Proxy
from opentrail.objects.setting import BucketSetting
from opentrail.trails.backlog import BACKLOG_BYTES_MAX, RETRY_DAYS
from opentrail.trails.digest_setting import DigestSetting
from opentrail.trails.organization_setting import Account, OrganizationSetting
from opentrail.trails.target_setting import TargetSetting, WebhookSetting

DATA_DEFAULT = "opentrail-data"
"""The data directory when none is given: beside where the server is started, easy to see."""
PORT_MAX = 65_535
LISTEN_DEFAULT = "127.0.0.1:4540"
ACCOUNT_DEFAULT = "123456789012"
"""The account number of AWS's own documentation."""
REGION_DEFAULT = "us-east-1"

TIMEOUT_S_MAX = 3600.0
"""An hour: far past every synchronous answer of AWS, and no way to write "for ever"."""
DAYS_MAX = 36_500.0
"""A century: keeps times in milliseconds, and their differences, in range."""

# \Z, for $ lets a newline pass at the end.
Region = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[a-z0-9-]{1,32}\Z",
        description="a region: 32 lower-case letters, digits and dashes at most",
    ),
]
Domain = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^(?:[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})*)?\Z",
        description="a host name in lower case",
    ),
]
Directory = Annotated[
    str, msgspec.Meta(pattern=r"^[^\0]+\Z", description="the name of a directory")
]
AccountProfile = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[0-9]{12}=[^=]+\Z",
        description="ACCOUNT=PROFILE: twelve digits and a profile of the AWS shared files",
    ),
]
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
    domain: Domain = ""
    """Host names of buckets and services end in it ("bucket.s3.DOMAIN"); empty for none."""
    trusted_proxies: tuple[str, ...] = ()
    """Networks whose X-Forwarded-For is believed ("10.0.0.0/8")."""
    tls_cert: str = ""
    """File with the certificate and those between it and its CA (PEM); empty: plain HTTP."""
    tls_key: str = ""
    """File with its private key (PEM, not encrypted)."""
    tls_ca: str = ""
    """File with the CAs that clients are to trust the certificate by (PEM); ``opentrail env``
    tells them. Empty: the certificate's own file, if one in it is self-signed."""
    tls_client_ca: str = ""
    """File with the CAs of client certificates (PEM); empty: none is asked for."""


class Api(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """OpenTrail's own API: who may call it."""

    auth: Literal["verify", "off"] = "verify"
    default_identity: str = ""
    """With auth = "off": the ARN that an unknown key stands for."""


class Forward(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How calls go on to the upstreams, and what of them is recorded."""

    mode: Literal["preserve", "resign"] = "preserve"
    """Host and signature reach the upstream as the client made them, or are made anew."""
    verify: bool = False
    """Refuse calls whose signature does not check out against a known key."""
    on_log_failure: Literal["refuse", "forward"] = "refuse"
    """While the log cannot be written: refuse calls before they are forwarded, or forward them,
    count them, and say so in a gap event once the log can be written again."""
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
    checks_bucket_owner: bool = False
    """It refuses calls with a wrong x-amz-expected-bucket-owner, as AWS does."""
    on_log_failure: Literal["", "refuse", "forward"] = ""
    """For this upstream's calls; "": ``forward.on_log_failure``."""
    ca: str = ""
    """File with the CAs that vouch for this upstream (PEM); empty: the system's."""
    client_cert: str = ""
    """File with the certificate that is shown to the upstream (PEM)."""
    client_key: str = ""
    """File with its private key (PEM, not encrypted); empty: in the same file."""
    credentials_profile: str = ""
    """With mode = "resign": a profile of the AWS shared files, for callers without their own."""
    principals: dict[str, str] = {}
    """A caller's ARN, its role's, its service's name or its account -> its profile."""
    proxy: str = ""
    """http://HOST:PORT of the HTTP proxy on the way to it; empty: none, whatever the environment."""


class Exclude(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Calls that are forwarded and counted, and not recorded: all that is said must hold."""

    event_source: str = ""
    """"health.example.amazonaws.com"."""
    event_names: tuple[str, ...] = ()
    """Any of these; "Describe*" is every name that begins so."""
    paths: tuple[str, ...] = ()
    """Any of these paths, without the query; "/health*" is every path that begins so."""
    user_agent: str = ""
    """What the User-Agent begins with."""
    source_networks: tuple[str, ...] = ()
    """Any of these networks ("10.0.0.0/8")."""
    read_only: bool = False
    """Reads only."""


class Log(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The event log."""

    retention_days: Days = 400.0
    retention_bytes_max: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Of log and index together; beyond it the oldest records go, however young. 0: any size."""
    disk_reserve_bytes: Annotated[int, msgspec.Meta(ge=0)] = 256 * 1024 * 1024
    """Below this much free space the log refuses, before the disk is full."""
    train_dictionary: bool = True
    """Compress by what the log's own records have in common: half the bytes. The dictionary, and each segment with
    it, has pieces of records of the two days before it was made."""


class History(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Event history."""

    lookup_window_days: Days = 90.0
    """How far back LookupEvents sees, by eventTime. AWS: 90 days."""
    lookup_requests_s: Annotated[float, msgspec.Meta(ge=0, le=1_000_000)] = 0.0
    """LookupEvents taken a second for each account and region; 0: all. AWS: 2."""


TrailNameOrArn = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^(?:\*|[A-Za-z0-9:/._-]+)\Z", description="the name or ARN of a trail, or *"
    ),
]


class Delivery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Trails: when log files end, and digests."""

    file_interval_s: Interval = 300.0
    """A trail's log files are cut this often. AWS: about every 5 minutes."""
    digest_interval_s: Annotated[int, msgspec.Meta(ge=1, le=86_400)] = 3600
    """Length of a digest's window. AWS: an hour."""
    trails_max: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 5
    """Trails of an account that a region shows. AWS: 5. All of them are read at once."""
    backlog_bytes_max: Annotated[int, msgspec.Meta(ge=1)] = BACKLOG_BYTES_MAX
    """Of the log, not delivered by a trail: more is told, and given up by the trails that may."""
    retry_days: Days = RETRY_DAYS
    """How long the trails that may give up files try to put them. AWS: 30."""
    give_up: tuple[TrailNameOrArn, ...] = ()
    """Trails that may give up files that their bucket does not take; "*": all. Others hold them."""


class Tuning(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who asks the upstream which training jobs a tuning job starts and stops."""

    credentials_profile: str = ""
    """A profile of the AWS shared files that may list tuning jobs; "": nobody asks."""
    profiles: tuple[AccountProfile, ...] = ()
    """ACCOUNT=PROFILE: profiles of single accounts, stronger than ``credentials_profile``."""
    poll_interval_s: Interval = 10.0
    """How often a tuning job that has not ended is asked about."""


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
    digest: DigestSetting = DigestSetting()
    organization: OrganizationSetting = OrganizationSetting()
    tuning: Tuning = Tuning()
    buckets: dict[str, BucketSetting] = {}
    """By name. A bucket without an entry is the upstream's, or a directory when there is none."""
    bucket_owners: dict[str, Account] = {}
    """S3 bucket -> the served account that owns it: calls of others upon it give that one an event."""
    targets: TargetSetting = TargetSetting()
    webhooks: dict[str, WebhookSetting] = {}
    access_keys: dict[str, AccessKeySetting] = {}
    jwt: Jwt = Jwt()
    proxy: Proxy = Proxy()
    client_certificates: dict[str, ClientCertificate] = {}
    """By a name in the certificate: its subject (RFC 4514), or "URI:…", "DNS:…", "email:…"."""
    exclude: dict[str, Exclude] = {}
    """By a name of the operator's own, which the metric has."""

    @property
    def data_dir(self) -> Path:
        """The data directory."""
        return Path(self.data)
