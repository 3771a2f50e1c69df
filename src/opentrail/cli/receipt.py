# SPDX-License-Identifier: Apache-2.0
"""``opentrail receipt``: what a trail's bucket must still hold, signed, to be kept elsewhere."""

from pathlib import Path

import click
import msgspec

from opentrail.cli.options import Command, Group, data_options, settings_of
from opentrail.cli.trails_here import trails_here
from opentrail.clock import SystemClock, iso_seconds
from opentrail.config import Settings
from opentrail.errors import UsageError
from opentrail.trails.keys import Signer, key_in
from opentrail.trails.kmskeys import kms_client, load_signer
from opentrail.verification.receipt import VERSION, Payload, sign


@click.group("receipt", cls=Group)
def command() -> None:
    """Make signed receipts of what a trail has delivered.

    A receipt names the newest digest of each chain. Kept where nobody who can write to the bucket
    can reach it, it shows later that nothing was cut off:

      opentrail receipt export my-trail > receipt.json
      opentrail verify s3://my-bucket --public-keys keys.json --receipt receipt.json
    """


@command.command("export", cls=Command)
@data_options
@click.argument("trail")
def export(config: Path | None, data: str | None, listen: str | None, trail: str) -> None:
    """Print a receipt of TRAIL (name or ARN), signed with the digest key.

    opentrail receipt export my-trail > receipt.json
    """
    settings = settings_of(config, {"data": data, "listen.address": listen})
    now_ms = SystemClock().now_ms()
    payload = _payload(settings, trail, now_ms)
    receipt = sign(payload, _signer(settings, now_ms // 1000))
    click.echo(msgspec.json.format(msgspec.json.encode(receipt), indent=2).decode())


def _signer(settings: Settings, now_s: int) -> Signer:
    """Return what signs digests now. Raises: UsageError. ClientError. Corrupt. Unavailable."""
    setting = settings.digest
    if not setting.kms_key_id:
        return key_in(settings.data_dir / "keys", now_s)
    there = msgspec.structs.replace(setting, region=setting.region or settings.region)
    return load_signer(kms_client(there), setting.kms_key_id, now_s)


def _payload(settings: Settings, name: str, now_ms: int) -> Payload:
    """Return what the state here says of the trail. Raises: UsageError: it has no digest."""
    with trails_here(settings) as here:
        if here is None:
            raise UsageError(f"{settings.data_dir} has no server's state: name its --data")
        trail = here.find(name)
        heads = tuple(here.heads(trail))
        log_id = here.log_id()
    if not heads:
        raise UsageError(f"{trail.name} has no digest yet: there is nothing to sign")
    return Payload(
        version=VERSION,
        log_id=log_id,
        trail_arn=trail.arn,
        made_time=iso_seconds(now_ms),
        heads=heads,
    )
