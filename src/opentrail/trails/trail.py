# SPDX-License-Identifier: Apache-2.0
"""A trail: its configuration, and what is kept of its deliveries. Data only.

The log decides: each change of a trail is a control frame that holds the whole configuration, right
behind a cut frame that closes what was written under the one before. State is what follows from
those frames and from what was delivered; an old copy of it repeats deliveries, byte for byte.
"""

from collections.abc import Iterable

import msgspec

from opentrail.event.place import partition_of
from opentrail.event.selectors import AdvancedSelector, EventSelector


class Trail(msgspec.Struct, frozen=True, kw_only=True):
    """A trail's whole configuration. Unset optional texts are ""."""

    id: str
    """A UUID of ours: a trail made anew under the same name has another."""
    name: str
    account: str
    home_region: str
    bucket: str
    prefix: str = ""
    sns_topic: str = ""
    """As given: a name or an ARN."""
    include_global_service_events: bool = True
    is_multi_region: bool = False
    log_file_validation: bool = False
    log_group_arn: str = ""
    log_role_arn: str = ""
    kms_key_id: str = ""
    """As key ARN."""
    is_organization: bool = False
    organization_id: str = ""
    """Of an organization trail; a level of its keys."""
    members: tuple[str, ...] = ()
    """Of an organization trail: the accounts beside ``account`` whose records it takes, sorted."""
    recursive_logging: bool = True
    """Kept and shown: deliveries of OpenTrail's own cause no events either way."""
    takes_over: int = 0
    """Of a trail that got its bucket because the one before was gone: ranges that begin here in the
    log or later, up to this change, go to this bucket, too. 0: none."""
    event_selectors: tuple[EventSelector, ...] | None = None
    """None with ``advanced_selectors`` None: the default selector."""
    advanced_selectors: tuple[AdvancedSelector, ...] | None = None
    logging: bool = False
    started_ms: int = 0
    """Last StartLogging; 0: never. Digest windows are anchored here."""
    stopped_ms: int = 0
    deleted: bool = False

    @property
    def arn(self) -> str:
        """The trail's ARN."""
        return trail_arn(self.home_region, self.account, self.name)

    @property
    def sns_topic_arn(self) -> str:
        """The topic's ARN: a bare name is of the trail's own region and account; "" without one."""
        if not self.sns_topic or self.sns_topic.startswith("arn:"):
            return self.sns_topic
        partition = partition_of(self.home_region)
        return f"arn:{partition}:sns:{self.home_region}:{self.account}:{self.sns_topic}"


class Cut(msgspec.Struct, frozen=True):
    """Payload (JSON) of a cut frame: files end here."""

    cut_ms: int
    """Never before an earlier cut's, whatever the clock does; milliseconds since 1970 UTC."""


class Control(msgspec.Struct, frozen=True):
    """Payload (JSON) of a control frame: what holds for a trail from here on."""

    change: str
    """The operation that made it: "CreateTrail", "StartLogging", "PutEventSelectors" …"""
    trail: Trail


class DeliveredFile(msgspec.Struct, frozen=True):
    """A log file that is in its bucket; what its digest says of it. State: ``delivered_key``."""

    bucket: str
    key: str
    sha256: str
    """Hex, of the uncompressed bytes."""
    oldest_ms: int
    newest_ms: int
    """eventTime of the records, milliseconds (whole seconds)."""
    records: int
    cut_ms: int
    account: str
    region: str
    folder: str
    """"CloudTrail"."""


def trail_arn(region: str, account: str, name: str) -> str:
    """Return the ARN of a trail."""
    return f"arn:{partition_of(region)}:cloudtrail:{region}:{account}:trail/{name}"


def as_now(trail: Trail, trails: Iterable[Trail]) -> Trail:
    """Return ``trail`` as it is among ``trails``; one that is not there as it was, and deleted."""
    gone = msgspec.structs.replace(trail, deleted=True)
    return next((each for each in trails if each.id == trail.id), gone)


def same_targets(trail: Trail, other: Trail) -> bool:
    """Return whether two forms of a trail have the same topic, log group and role."""
    return (trail.sns_topic, trail.log_group_arn, trail.log_role_arn) == (
        other.sns_topic,
        other.log_group_arn,
        other.log_role_arn,
    )


def moved(trail: Trail, there: Trail) -> Trail:
    """Return ``trail`` as it is but for its bucket, which is that of ``there``."""
    return msgspec.structs.replace(
        trail, bucket=there.bucket, prefix=there.prefix, kms_key_id=there.kms_key_id
    )


def trail_key(trail: Trail) -> str:
    """Return where state keeps a trail's newest configuration."""
    return f"trail/{trail.account}/{trail.home_region}/{trail.name}"


def cursor_key(trail_id: str) -> str:
    """Return where state keeps how far a trail is delivered: a log position, as decimal text."""
    return f"cursor/{trail_id}"


def delivered_key(trail_id: str, account: str, region: str, cut_position: int, part: int) -> str:
    """Return where state keeps a delivered file until its digest is written."""
    return f"delivered/{trail_id}/{account}/{region}/{cut_position:020d}/{part:06d}"
