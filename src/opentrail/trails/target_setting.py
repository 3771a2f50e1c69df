# SPDX-License-Identifier: Apache-2.0
"""What the operator says of targets beside buckets. Without the driver, so that it loads at once."""

import re
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import msgspec

from opentrail.errors import UsageError

SECRET_CHARS_MIN = 16
"""What signs messages must not be guessed."""
RETENTION_DAYS = frozenset(
    (0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922,
     3288, 3653)
)  # fmt: skip
"""What CloudWatch Logs takes ("PutRetentionPolicy"), and 0."""
_SENDABLE = re.compile(r"[\x21-\x7e]*")
"""What a request line may have."""


class TargetSetting(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """SNS, CloudWatch Logs, EventBridge, KMS and STS: how they are asked."""

    endpoint: str = ""
    """URL of all five; empty: each one's upstream. "aws": AWS's own."""
    credentials_profile: str = ""
    """A profile of the AWS shared files; empty: botocore's usual search."""
    ca: str = ""
    """A file with the certificates that the endpoint is trusted by; empty: the usual ones."""
    logs_retention_days: Annotated[int, msgspec.Meta(ge=0, le=3653)] = 0
    """Set on a trail's log group; 0: the group's own is not touched."""
    events: bool = False
    """Copy to EventBridge what an account's trails take."""
    events_read_only: bool = False
    """Copy management events of reads too. AWS: only to rules that ask for them."""
    events_bus: str = "default"
    events_source_prefix: str = "aws."
    """Before the service in an event's source. AWS itself takes no "aws." from others."""


class WebhookSetting(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who is told of delivered files over HTTP."""

    url: str
    secret: str
    """Signs the messages: HMAC-SHA256."""
    trails: tuple[str, ...] = ()
    """Names or ARNs; empty: all trails."""
    ca: str = ""
    """A file with the certificates that the receiver is trusted by; empty: the usual ones."""

    def __repr__(self) -> str:
        return f"WebhookSetting({self.url!r})"


def check_targets(setting: TargetSetting) -> None:
    """Refuse what cannot be meant, at start. Raises: UsageError."""
    if setting.endpoint not in ("", "aws") and not setting.endpoint.startswith(
        ("http://", "https://")
    ):
        raise UsageError(
            f"targets.endpoint: {setting.endpoint!r} is neither an http(s) URL nor aws"
        )
    if setting.ca and not Path(setting.ca).is_file():
        raise UsageError(f"targets.ca: there is no file {setting.ca!r}")
    if setting.logs_retention_days not in RETENTION_DAYS:
        some = ", ".join(map(str, sorted(RETENTION_DAYS)))
        raise UsageError(f"targets.logs_retention_days: CloudWatch Logs takes one of {some}")
    if not setting.events_bus:
        raise UsageError("targets.events_bus: a bus has a name; that of each region is default")


def check_webhook(name: str, setting: WebhookSetting) -> None:
    """Refuse what cannot be meant, at start rather than at the first file. Raises: UsageError."""
    if not name.replace("-", "").isalnum():
        raise UsageError(f"webhooks.{name}: a name has letters, digits and hyphens")
    if len(setting.secret) < SECRET_CHARS_MIN:
        raise UsageError(f"webhooks.{name}.secret: it needs {SECRET_CHARS_MIN} characters or more")
    if setting.ca and not Path(setting.ca).is_file():
        raise UsageError(f"webhooks.{name}.ca: there is no file {setting.ca!r}")
    wrong = _url_fault(setting.url)
    if wrong:
        raise UsageError(f"webhooks.{name}.url: {wrong}")


def _url_fault(url: str) -> str:
    """Return why no request can go to ``url``; "" when one can."""
    if "@" in re.split("[/?#]", url.partition("://")[2])[0]:
        return "it must not have a user name or password"  # nor is one shown
    try:
        parts = urlsplit(url)
        host, _port = (parts.hostname or "").encode("idna"), parts.port
    except ValueError as error:  # a port that is none, a host with an empty label
        return str(error)
    if parts.scheme not in ("http", "https") or not host or parts.fragment:
        return "it is not an http(s) URL"
    if not _SENDABLE.fullmatch(parts.path + parts.query):
        return "what is no printable ASCII must be written as %XX"
    return ""
