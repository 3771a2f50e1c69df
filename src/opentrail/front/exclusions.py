# SPDX-License-Identifier: Apache-2.0
"""The operator's exclusions, for the gateway and in words."""

from ipaddress import ip_network

from opentrail.capture.exclude import Exclusion
from opentrail.config import Settings


def exclusions_of(settings: Settings) -> list[Exclusion]:
    """Return what is not to be recorded."""
    return [
        Exclusion(
            name=name,
            event_source=rule.event_source,
            event_names=rule.event_names,
            paths=rule.paths,
            user_agent=rule.user_agent,
            source_networks=[ip_network(text) for text in rule.source_networks],
            read_only=rule.read_only,
        )
        for name, rule in settings.exclude.items()
    ]


def in_words(exclusion: Exclusion) -> str:
    """Return one exclusion for the lines that a server says at its start."""
    parts = (
        exclusion.event_source,
        " ".join(exclusion.event_names),
        " ".join(exclusion.paths),
        f"user agent {exclusion.user_agent}" if exclusion.user_agent else "",
        " ".join(map(str, exclusion.source_networks)),
        "reads only" if exclusion.read_only else "",
    )
    return f"{exclusion.name} ({', '.join(filter(None, parts))})"
