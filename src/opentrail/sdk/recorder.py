# SPDX-License-Identifier: Apache-2.0
"""One service's records: whose they are, what is hidden in them, and where they go."""

import logging
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Self, TypedDict, Unpack

from opentrail.event.record import FIELD_ORDER
from opentrail.sdk.echoes import without_echoes
from opentrail.sdk.given import check_place, names, only
from opentrail.sdk.guard import Guard
from opentrail.sdk.post import HttpPost, Target
from opentrail.sdk.posting import Post
from opentrail.sdk.record import EVENT_VERSION, UNWRITABLE, Fields, Record, encoded, omitted, plain
from opentrail.sdk.redact import Redact, redactor, redactor_of
from opentrail.sdk.sender import CLOSE_S_MAX, LINGER_S, Lost, Make, Sender, Told
from opentrail.sdk.signing import Credentials
from opentrail.sdk.spool import Memory, Spool
from opentrail.sdk.system import iso_seconds, new_id, now_s

ENV_PREFIX = "OPENTRAIL_SDK_"
"""Before the names of variables that stand for arguments which are not given."""
ENDPOINT_DEFAULT = "http://127.0.0.1:4540"
ACCOUNT_DEFAULT = "123456789012"
"""The account number of AWS's own documentation, and the server's default."""
REGION_DEFAULT = "us-east-1"
SPOOL_BYTES_MAX = 64 * 1024 * 1024
"""Some sixty thousand records of a process: a minute of a thousand calls a second."""
GAP_SOURCE = "opentrail.sdk"
GAP_EVENT_NAME = "RecordingGap"

_ASKED = ("requestParameters", "responseElements")
"""What ``redact_value`` is asked about."""
_PARTS = (*_ASKED, "additionalEventData", "serviceEventDetails")
"""Where a record may have what is secret."""

_log = logging.getLogger("opentrail.sdk")
_RANK = {name: rank for rank, name in enumerate(FIELD_ORDER)}


class Given(TypedDict, total=False):
    """What a recorder may be told."""

    endpoint: str
    """The server's address: "http://127.0.0.1:4540"."""
    account: str
    """Twelve digits: whose records they are."""
    region: str
    credentials: Credentials | Callable[[], Credentials | None]
    """The key that signs, or what returns it before each request."""
    spool: str | Path
    """A directory in which records wait while the server is away; without one they wait in memory,
    and are lost with the process."""
    spool_bytes_max: int
    """Of one process; what comes past it is counted and lost, and a record says so."""
    redact: Iterable[str]
    """More names of members whose values are hidden."""
    redact_value: Redact
    """Called with requestParameters and responseElements after that; returns what is recorded."""
    linger_s: float
    """How long the sender waits for more to send along."""
    post: Post
    """Another way to the server than HTTP."""


class Recorder:
    """Makes records and has them sent. Share one in a program; safe from any thread."""

    def __init__(self, source: str = "", **given: Unpack[Given]) -> None:
        """Begin; no connection is made before there is a record.

        ``source`` is the eventSource ("orders.example.com"). What is not given is taken from
        OPENTRAIL_SDK_SOURCE, _ENDPOINT, _ACCOUNT, _REGION and _SPOOL, and the key from
        AWS_ACCESS_KEY_ID and its companions. Raises: ValueError: endpoint, account or region is none.
        TypeError: an argument is none of ``Given``.
        """
        only(given, Given.__annotations__, "Recorder")
        self.source = source or _setting("SOURCE", "app.local")
        self.account = given.get("account") or _setting("ACCOUNT", ACCOUNT_DEFAULT)
        self.region = given.get("region") or _setting("REGION", REGION_DEFAULT)
        check_place(self.account, self.region)
        self._redact = names(given.get("redact", ()), "redact")
        self._redact_value = given.get("redact_value")
        self._redacted = redactor(self._redact)
        self._redactors: dict[tuple[str, ...], Redact] = {}
        self._redact_given = redactor_of(self._redact) if self._redact else None
        endpoint = given.get("endpoint") or _setting("ENDPOINT", ENDPOINT_DEFAULT)
        credentials = given.get("credentials", from_environment)
        post = given.get("post") or HttpPost(Target(endpoint, self.region, credentials))
        directory = given.get("spool") or _setting("SPOOL", "")
        bytes_max = given.get("spool_bytes_max", SPOOL_BYTES_MAX)
        store = Spool(Path(directory), bytes_max) if directory else Memory(bytes_max)
        told = Told(self._gap, self.failed)
        self._sender = Sender(post, store, told, given.get("linger_s", LINGER_S))
        self.failures: Counter[str] = Counter()
        """Calls that could not be recorded, or not whole, by the error: of a callable of yours,
        most likely."""
        self._told: set[tuple[str, str]] = set()

    def failed(self, error: Exception, field: str = "") -> None:
        """Count a call that could not be recorded, or only without ``field``.

        The first of its kind is logged.
        """
        kind = type(error).__name__
        self.failures[kind] += 1
        if (field, kind) not in self._told:
            self._told.add((field, kind))
            what = f"is recorded without {field}" if field else "was not recorded"
            _log.error("a call %s: %s: %s", what, kind, error)

    def excluded(self) -> None:
        """Count a call that is not recorded on purpose."""
        self._sender.count("excluded")

    @property
    def counts(self) -> Counter[str]:
        """What became of the records: put, sent, duplicates, rejected, lost; and excluded calls."""
        return self._sender.counts

    def hide(self, value: object, more_names: tuple[str, ...] = ()) -> object:
        """Return a copy of a JSON value with what is secret hidden."""
        redact = self._redacted
        if more_names:
            found = self._redactors.get(more_names)
            if found is None:
                found = self._redactors[more_names] = redactor((*self._redact, *more_names))
            redact = found
        value = redact(value)
        return value if self._redact_value is None else self._redact_value(value)

    def hide_given(self, field: str, value: object) -> object:
        """Return ``value`` with what ``redact`` and ``redact_value`` say hidden, and nothing else.

        It is for values in which other rules have hidden theirs. Raises nothing.
        """
        by_name, by_callable = self._redact_given, self._redact_value
        if value is None or (by_name is None and by_callable is None):
            return value
        with Guard(partial(self.failed, field=field)):
            shown = value if by_name is None else by_name(value)
            return shown if by_callable is None else by_callable(shown)
        return omitted(field, 0, "not redacted")

    def _without_secrets(self, fields: Fields) -> None:
        """Hide what is secret in a record's parts, and what of that its errorMessage quotes."""
        for name in _PARTS:
            value = fields.get(name)
            if value is None:
                continue
            try:
                given = plain(value)
            except UNWRITABLE:
                continue  # a marker takes its place
            shown = self._redacted(given)
            if name in _ASKED:
                shown = self.hide_given(name, shown)
            said = fields.get("errorMessage")
            if isinstance(said, str):
                fields["errorMessage"] = without_echoes(said, given, shown)
            fields[name] = shown

    def record(self, **fields: object) -> str:
        """Have a record with these fields sent; return its eventID.

        The names are CloudTrail's. What every record has is filled in: eventVersion, eventTime,
        eventSource, awsRegion, eventID, recipientAccountId, eventType, eventCategory, readOnly.
        What is secret in its parts is hidden.
        """
        event_id = str(fields.setdefault("eventID", new_id()))
        fields.setdefault("eventTime", iso_seconds(int(now_s())))
        for name, value in self._always().items():
            fields.setdefault(name, value)
        self._without_secrets(fields)
        order = len(FIELD_ORDER)
        names = sorted(fields, key=lambda name: _RANK.get(name, order))
        self.send({name: fields[name] for name in names})
        return event_id

    def _always(self) -> Fields:
        return {
            "eventVersion": EVENT_VERSION,
            "userIdentity": {"type": "Unknown", "accountId": self.account},
            "eventSource": self.source,
            "awsRegion": self.region,
            "requestParameters": None,
            "responseElements": None,
            "readOnly": False,
            "eventType": "AwsApiCall",
            "managementEvent": True,
            "recipientAccountId": self.account,
            "eventCategory": "Management",
        }

    def send(self, record: Record | Mapping[str, object]) -> None:
        """Have a record sent that has all its fields, in their order."""
        data = encoded(record)
        self._sender.put(data, len(data))

    def send_made(self, make: Make, size: int) -> None:
        """Have a record sent that ``make`` makes, in the sender's thread.

        ``size`` is what it keeps in memory until then, in bytes.
        """
        self._sender.put(make, size)

    @property
    def asks_callables(self) -> bool:
        """Whether hiding runs a callable of the user's, which may want the thread of the call."""
        return self._redact_value is not None

    def _gap(self, lost: Lost) -> bytes:
        """Return the record of what was lost; the form is that of the server's own gap events."""
        details = {
            "reason": "records-lost",
            "from": iso_seconds(int(lost.from_s)),
            "to": iso_seconds(int(lost.to_s)),
            "calls": lost.count,
            "source": self.source,
        }
        return encoded(
            {
                "eventVersion": EVENT_VERSION,
                "userIdentity": {"accountId": self.account, "invokedBy": GAP_SOURCE},
                "eventTime": iso_seconds(int(now_s())),
                "eventSource": GAP_SOURCE,
                "eventName": GAP_EVENT_NAME,
                "awsRegion": self.region,
                "sourceIPAddress": GAP_SOURCE,
                "userAgent": GAP_SOURCE,
                "requestParameters": None,
                "responseElements": None,
                "eventID": new_id(),
                "readOnly": False,
                "eventType": "AwsServiceEvent",
                "managementEvent": True,
                "recipientAccountId": self.account,
                "serviceEventDetails": details,
                "eventCategory": "Management",
            }
        )

    def flush(self, timeout_s: float = CLOSE_S_MAX) -> bool:
        """Wait until all that was recorded is with the server; False: not in that time."""
        return self._sender.flush(timeout_s)

    def hand_over(self) -> None:
        """Send what waits if the server takes it now: the service ends, and perhaps the program."""
        self._sender.hand_over()

    def close(self, timeout_s: float = CLOSE_S_MAX) -> None:
        """Send what waits and end the thread. Also happens when the program ends."""
        self._sender.close(timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _setting(name: str, default: str) -> str:
    return os.environ.get(ENV_PREFIX + name) or default


def from_environment() -> Credentials | None:
    """Return the key in AWS's own variables; None: there is none, and requests are not signed."""
    key_id = os.environ.get("AWS_ACCESS_KEY_ID", "")
    secret = os.environ.get("AWS_SECRET_ACCESS_KEY", "")
    token = os.environ.get("AWS_SESSION_TOKEN", "")
    return Credentials(key_id, secret, token) if key_id and secret else None
