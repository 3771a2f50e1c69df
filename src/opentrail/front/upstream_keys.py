# SPDX-License-Identifier: Apache-2.0
"""The keys by which calls are signed anew: profiles of the AWS shared files.

AWS CLI User Guide, "Configuration and credential file settings". botocore reads them, and renews
those that end (roles, SSO), on a thread: that may take calls of its own.
"""

import asyncio
import importlib

from opentrail.access.resign import UpstreamKey
from opentrail.capture.dial import UpstreamSettings
from opentrail.capture.upstream import Unreachable
from opentrail.clock import Clock
from opentrail.errors import Unavailable

KEPT_S = 60.0
"""How long a profile's key is used before the profile is asked again: botocore renews what ends
within ten minutes, and an operator who changes a file waits no longer."""


class ProfileKeys:
    """Keys by profile. Satisfies ``capture.outgoing.UpstreamKeys``."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: dict[str, tuple[UpstreamKey, float]] = {}

    async def find(self, upstream: UpstreamSettings, names: tuple[str, ...]) -> UpstreamKey | None:
        """See ``UpstreamKeys``."""
        profiles = dict(upstream.principals)
        profile = next((profiles[name] for name in names if name in profiles), "")
        profile = profile or upstream.credentials_profile
        if not profile:
            return None
        kept = self._kept.get(profile)
        now_s = self._clock.monotonic()
        if kept is None or now_s - kept[1] > KEPT_S:
            kept = await asyncio.to_thread(_read, profile), now_s
            self._kept[profile] = kept
        return kept[0]


def _read(profile: str) -> UpstreamKey:
    """Return a profile's key as it is now. Raises: Unreachable, which names no secret."""
    driver = importlib.import_module("opentrail.objects.driver")  # botocore: a fifth of a start
    try:
        found = driver.credentials_of(profile)
    except Unavailable as error:
        raise Unreachable(f"the upstream's credentials cannot be read ({error})") from error
    if found is None or not found.access_key or not found.secret_key:
        raise Unreachable("the upstream's profile has no credentials")
    return UpstreamKey(found.access_key, found.secret_key, found.token or "")
