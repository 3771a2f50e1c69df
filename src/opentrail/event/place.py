# SPDX-License-Identifier: Apache-2.0
"""Where a record belongs: whose account's it is, of which category, in which partition. Pure.

Source: CloudTrail User Guide, "CloudTrail record contents": eventCategory and managementEvent came
with later event versions, recipientAccountId is absent in some records.
"""

from opentrail.event.record import Record, UserIdentity

_PARTITIONS = (
    ("cn-", "aws-cn"),
    ("us-gov-", "aws-us-gov"),
    ("us-isob-", "aws-iso-b"),
    ("us-isof-", "aws-iso-f"),
    ("eu-isoe-", "aws-iso-e"),
    ("us-iso-", "aws-iso"),
    ("eusc-", "aws-eusc"),
)
"""How the regions of the partitions beside "aws" begin."""


def account_of(record: Record) -> str:
    """Return the account that received the event, as AWS's own processing library falls back."""
    return record.recipient_account_id or account_of_caller(record.user_identity)


def account_of_caller(identity: UserIdentity) -> str:
    """Return the caller's account, which receives the event of a record that does not say."""
    return identity.account_id or identity.session_context.session_issuer.account_id


def category_of(record: Record) -> str:
    """Return eventCategory; records older than it (1.07) are told by ``managementEvent``."""
    return record.event_category or older_category(management_event=record.management_event)


def older_category(*, management_event: bool | None) -> str:
    """Return the category of a record without eventCategory."""
    return "Data" if management_event is False else "Management"


def partition_of(region: str) -> str:
    """Return the partition that ``region`` is in, as ARNs have it."""
    return next((found for prefix, found in _PARTITIONS if region.startswith(prefix)), "aws")
