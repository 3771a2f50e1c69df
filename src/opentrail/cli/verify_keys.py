# SPDX-License-Identifier: Apache-2.0
"""Asks CloudTrail, AWS's or OpenTrail's, for the public keys of the time that is verified."""

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Protocol, cast

import botocore.session
import msgspec
from botocore import exceptions as driver

from opentrail.errors import Unavailable
from opentrail.verification.survey import Asked, Survey
from opentrail.verification.verdict import SIGNED_LATE_S, KnownKey

PAGES_MAX = 1000
"""A key is valid for a month: more pages would be of no end."""


def fetched(
    found: Survey, asked: Asked, endpoint: str, profile: str, region: str
) -> dict[str, KnownKey]:
    """Return the keys of all regions in which there are digests, by fingerprint.

    Raises: Unavailable: CloudTrail cannot be asked, or does not answer.
    """
    ends: list[int] = []
    for names in found.digests.values():
        in_time, later = asked.parted(names)
        ends += (name.end_s for name in (*in_time, *later[-2:]))
    if not ends:
        return {}
    span = min(ends), max(ends) + SIGNED_LATE_S
    regions = {chain.place.region for chain in found.digests if asked.takes(chain)}
    keys: dict[str, KnownKey] = {}
    try:
        session = botocore.session.Session(profile=profile or None)
        for each in sorted(regions or {region}):
            client = session.create_client("cloudtrail", each, endpoint_url=endpoint or None)
            listed = _listed(cast("_CloudTrail", client), span)
            keys |= {key.fingerprint: key for key in listed}
    except (driver.BotoCoreError, driver.ClientError, msgspec.MsgspecError, ValueError) as error:
        raise Unavailable(f"CloudTrail gives no public keys: {error}") from error
    return keys


class _CloudTrail(Protocol):
    """The part of botocore's CloudTrail client that is called."""

    def list_public_keys(self, **arguments: object) -> Mapping[str, object]:
        """ListPublicKeys."""
        ...


class _Listed(msgspec.Struct, rename="pascal"):
    value: bytes
    validity_start_time: dt.datetime
    validity_end_time: dt.datetime


class _Page(msgspec.Struct, rename="pascal"):
    public_key_list: list[_Listed] = []
    next_token: str = ""


def _listed(client: _CloudTrail, span: tuple[int, int]) -> Iterator[KnownKey]:
    start, end = (dt.datetime.fromtimestamp(second, tz=dt.UTC) for second in span)
    more: dict[str, object] = {}
    for _ in range(PAGES_MAX):
        answer = client.list_public_keys(StartTime=start, EndTime=end, **more)
        page = msgspec.convert(answer, _Page)
        for key in page.public_key_list:
            starts, ends = key.validity_start_time, key.validity_end_time
            yield KnownKey(key.value, int(starts.timestamp()), int(ends.timestamp()))
        if not page.next_token:
            return
        more = {"NextToken": page.next_token}
