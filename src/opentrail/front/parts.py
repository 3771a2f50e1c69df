# SPDX-License-Identifier: Apache-2.0
"""What the gateway works with, made of the settings."""

from opentrail.access.key_table import KeyTable
from opentrail.capture.admit import Admission
from opentrail.capture.build import BuildSettings
from opentrail.capture.identity import Identities, IdentitySettings
from opentrail.capture.intake_senders import Senders
from opentrail.capture.outgoing import Sender
from opentrail.clock import Clock, Ids
from opentrail.config import Settings
from opentrail.front.senders import Append, SentRecords
from opentrail.front.upstream_keys import ProfileKeys
from opentrail.front.whose import Whose


def identities_of(settings: Settings, keys: KeyTable) -> Identities:
    """Return who calls are made by."""
    return Identities(
        IdentitySettings(
            settings.account,
            settings.region,
            frozenset(settings.accounts),
            frozenset(settings.regions),
            settings.api.default_identity,
            settings.bucket_owners,
        ),
        keys,
    )


def build_settings(settings: Settings) -> BuildSettings:
    """Return what records are made by."""
    return BuildSettings(
        settings.forward.service_profile,
        settings.forward.record_unlogged,
        frozenset((settings.region, *settings.regions)) if settings.regions else frozenset(),
    )


def admission_of(settings: Settings, whose: Whose, instance: str) -> Admission:
    """Return what a call must pass; ``instance`` is what this OpenTrail marks its own with."""
    return Admission(
        whose.keys,
        whose.vouched,
        verify_calls=settings.forward.verify or settings.forward.mode == "resign",
        verify_own=settings.api.auth == "verify",
        instance=instance,
    )


def sender_of(settings: Settings, clock: Clock) -> Sender:
    """Return what makes of calls what goes on to the upstreams."""
    return Sender(ProfileKeys(clock) if settings.forward.mode == "resign" else None, clock)


def sent_of(settings: Settings, append: Append, clock: Clock, ids: Ids) -> SentRecords:
    """Return the intake's way into the log."""
    return SentRecords(append, Senders(settings.account, settings.region, ids), clock)
