# SPDX-License-Identifier: Apache-2.0
"""The targets that there are beside buckets, built from the settings: one row for each."""

from collections.abc import Mapping
from dataclasses import dataclass

from opentrail.clock import Clock
from opentrail.trails.connections import Connections
from opentrail.trails.target import Announces, Copies
from opentrail.trails.target_client import Clients, Endpoints
from opentrail.trails.target_events import EventsTarget
from opentrail.trails.target_logs import LogsTarget
from opentrail.trails.target_setting import TargetSetting, WebhookSetting
from opentrail.trails.target_sns import SnsTarget
from opentrail.trails.target_webhook import Webhook


@dataclass(frozen=True, slots=True)
class Targets:
    """Whoever is told or gets copies."""

    announced: tuple[Announces, ...]
    copied: tuple[Copies, ...]
    connections: Connections
    """What is tried before a trail is connected with them."""


def targets_of(
    setting: TargetSetting,
    webhooks: Mapping[str, WebhookSetting],
    endpoints: Endpoints,
    clock: Clock,
) -> Targets:
    """Return the targets of the settings; ``webhooks`` by name."""
    clients = Clients(setting, endpoints, clock)
    sns, logs = SnsTarget(clients), LogsTarget(clients, setting.logs_retention_days)
    return Targets(
        announced=(sns, *(Webhook(name, hook, clock) for name, hook in webhooks.items())),
        copied=(logs, *((EventsTarget(clients, setting),) if setting.events else ())),
        connections=Connections(clients, sns, logs),
    )
