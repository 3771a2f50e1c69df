# SPDX-License-Identifier: Apache-2.0
"""What ``opentrail import`` reads from and sends to over a network, with the keys of this shell."""

from pathlib import Path

import botocore.session

from opentrail.clock import SystemClock
from opentrail.config import REGION_DEFAULT
from opentrail.imports.sink_server import Server, ServerSink
from opentrail.objects.base import Bucket
from opentrail.objects.setting import Upstream
from opentrail.objects.table import BucketTable, check_profile
from opentrail.sdk.signing import Credentials


def bucket(name: str, endpoint: str, profile: str) -> Bucket:
    """Return the S3 bucket ``name``. Raises: UsageError: there is no such profile. ClientError."""
    check_profile(profile)
    upstream = Upstream(endpoint, profile)
    return BucketTable({}, Path(), SystemClock(), REGION_DEFAULT, upstream).find(name)


def server_sink(url: str) -> ServerSink:
    """Return the way into a server's log. Raises: UsageError. ClientError. Unavailable."""
    session = botocore.session.get_session()
    found = session.get_credentials()
    given = None if found is None else found.get_frozen_credentials()
    credentials = None if given is None else Credentials(*(part or "" for part in given[:3]))
    region = session.get_config_variable("region") or REGION_DEFAULT
    return ServerSink(Server(url, region, credentials), SystemClock())
