# SPDX-License-Identifier: Apache-2.0
"""Where a record belongs: whose account's it is, and of which category. Pure.

Source: CloudTrail User Guide, "CloudTrail record contents": eventCategory and managementEvent came
with later event versions, recipientAccountId is absent in some records.
"""

from opentrail.event.record import Record


def account_of(record: Record) -> str:
    """Return the account that received the event, as AWS's own processing library falls back."""
    identity = record.user_identity
    return (
        record.recipient_account_id
        or identity.account_id
        or identity.session_context.session_issuer.account_id
    )


def category_of(record: Record) -> str:
    """Return eventCategory; records older than it (1.07) are told by ``managementEvent``."""
    if record.event_category:
        return record.event_category
    return "Data" if record.management_event is False else "Management"
