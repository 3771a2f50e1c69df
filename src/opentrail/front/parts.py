# SPDX-License-Identifier: Apache-2.0
"""What the gateway works with, made of the settings."""

from opentrail.access.key_table import KeyTable
from opentrail.capture.admit import Admission
from opentrail.capture.identity import Identities, IdentitySettings
from opentrail.config import Settings


def identities_of(settings: Settings, keys: KeyTable) -> Identities:
    """Return who calls are made by."""
    return Identities(
        IdentitySettings(
            settings.account,
            settings.region,
            frozenset(settings.accounts),
            frozenset(settings.regions),
            settings.api.default_identity,
        ),
        keys,
    )


def admission_of(settings: Settings, keys: KeyTable, instance: str) -> Admission:
    """Return what a call must pass; ``instance`` is what this OpenTrail marks its own with."""
    return Admission(
        keys,
        verify_calls=settings.forward.verify,
        verify_own=settings.api.auth == "verify",
        instance=instance,
    )
