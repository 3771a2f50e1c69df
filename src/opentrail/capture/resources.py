# SPDX-License-Identifier: Apache-2.0
"""The ``resources`` of a data event: what it acted on, from the members of the request.

Source: CloudTrail User Guide, "Logging data events"; key order of delivered records.
"""

from collections.abc import Mapping

import msgspec

from opentrail.capture.limits import ARN_BYTES_MAX, RESOURCES_MAX
from opentrail.capture.rules import DataEvent

_PARTITIONS = (
    ("cn-", "aws-cn"),
    ("us-gov-", "aws-us-gov"),
    ("us-isob-", "aws-iso-b"),
    ("us-isof-", "aws-iso-f"),
    ("eu-isoe-", "aws-iso-e"),
    ("us-iso-", "aws-iso"),
    ("eusc-", "aws-eusc"),
)


class Resource(msgspec.Struct, frozen=True):
    """One entry; ``accountId`` is the owner's."""

    account_id: str = msgspec.field(name="accountId")
    type: str
    arn: str = msgspec.field(name="ARN")


def resources(
    event: DataEvent, members: Mapping[str, object], account: str, region: str
) -> list[Resource]:
    """Return one entry for each different resource that the request names, in its order.

    What can be no resource's name (a colon in it, too long) gives no entry.
    """
    arns: dict[str, None] = {}
    for name in _named(members, event.members):
        arn = _arn(event, name, account, region)
        if arn and len(arns) < RESOURCES_MAX:
            arns[arn] = None
    return [Resource(account, event.type, arn) for arn in arns]


def _named(members: Mapping[str, object], path: tuple[str, ...]) -> list[str]:
    """Return the texts at the end of ``path``; a list on the way stands for its elements."""
    found: list[object] = [members] if path else []
    for name in path:
        inner = [item.get(name) for item in found if isinstance(item, dict)]
        found = [one for item in inner for one in (item if isinstance(item, list) else (item,))]
    return [item for item in found if isinstance(item, str)]


def _arn(event: DataEvent, named: str, account: str, region: str) -> str:
    if len(named.encode()) > ARN_BYTES_MAX:
        return ""
    if named.startswith("arn:"):
        return named
    name = named.rpartition("/")[2]  # a queue is named by its URL
    if not event.arn or not name or ":" in name:
        return ""
    return event.arn.format(
        partition=_partition(region),
        region=region,
        account=account,
        name=name.lower() if event.lower else name,
    )


def _partition(region: str) -> str:
    return next((found for prefix, found in _PARTITIONS if region.startswith(prefix)), "aws")
