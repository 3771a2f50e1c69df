# SPDX-License-Identifier: Apache-2.0
"""``opentrail public-keys``: the keys that digests are verified with, for whoever has no server."""

import base64
import json
from pathlib import Path

import click

from opentrail.cli.options import Command, Group, data_options, settings_of
from opentrail.cli.times import seconds_of
from opentrail.cli.trails_here import trails_here
from opentrail.clock import iso_seconds
from opentrail.errors import UsageError
from opentrail.trails.keys import PublicKey
from opentrail.verification.verdict import TIME_MAX


@click.group("public-keys", cls=Group)
def command() -> None:
    """Show the public keys that digests are verified with.

    Whoever has them checks a trail's files without the server:

      opentrail public-keys export > keys.json
      opentrail verify ./copy-of-a-bucket --public-keys keys.json
    """


@command.command("export", cls=Command)
@data_options
@click.option("--start-time", "--start", "start", help="Keys valid at some time from then on.")
@click.option("--end-time", "--end", "end", help="Keys valid at some time up to then.")
def export(
    config: Path | None, data: str | None, listen: str | None, start: str | None, end: str | None
) -> None:
    """Print public keys as ListPublicKeys gives them: all that ever signed here, or of a time.

    They are read from the data directory; no server needs to run.

      opentrail public-keys export --start-time 2026-01-31 > keys.json
    """
    settings = settings_of(config, {"data": data, "listen.address": listen})
    start_ms = int(seconds_of(start, 0) * 1000)
    end_ms = int(seconds_of(end, TIME_MAX) * 1000)
    with trails_here(settings) as here:
        if here is None:
            raise UsageError(f"{settings.data_dir} has no server's state: name its --data")
        keys = here.public_keys()
    found = [key for key in keys if key.start_ms <= end_ms and start_ms < key.end_ms]
    click.echo(json.dumps({"PublicKeyList": [_shown(key) for key in found]}, indent=2))


def _shown(key: PublicKey) -> dict[str, str]:
    return {
        "Value": base64.b64encode(key.value).decode(),
        "ValidityStartTime": iso_seconds(key.start_ms),
        "ValidityEndTime": iso_seconds(key.end_ms),
        "Fingerprint": key.fingerprint,
    }
