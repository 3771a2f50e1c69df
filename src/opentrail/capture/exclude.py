# SPDX-License-Identifier: Apache-2.0
"""Calls that the operator does not want recorded: health checks, a whole service. They are counted."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address

from opentrail.capture.call import Call
from opentrail.capture.plan import plan

OWN_SOURCES = frozenset({"cloudtrail.amazonaws.com", "cloudtrail-data.amazonaws.com"})
"""Whoever asks for the audit trail, or changes it, is always recorded."""


@dataclass(frozen=True, slots=True)
class Exclusion:
    """One rule; what is empty holds for every call, and all of it must hold."""

    name: str
    """The operator's own: the metric's label."""
    event_source: str = ""
    event_names: Sequence[str] = ()
    """Any of these; "Describe*" is every name that begins so."""
    paths: Sequence[str] = ()
    """Any of these, without the query; "/health*" is every path that begins so."""
    user_agent: str = ""
    """What the User-Agent begins with."""
    source_networks: Sequence[IPv4Network | IPv6Network] = ()
    read_only: bool = False

    def takes(self, call: Call) -> bool:
        """Return whether ``call`` is not to be recorded."""
        how = plan(call.target)
        return (
            how.event_source not in OWN_SOURCES
            and self.event_source in ("", how.event_source)
            and _any(self.event_names, how.event_name)
            and (not self.paths or _any(self.paths, _plain(call.head.path)))
            and call.user_agent.startswith(self.user_agent)
            and (how.reads or not self.read_only)
            and self._from(call.source_ip)
        )

    def _from(self, source_ip: str) -> bool:
        if not self.source_networks:
            return True
        try:
            address = ip_address(source_ip)
        except ValueError:
            return False
        return any(address in network for network in self.source_networks)


_ELSEWHERE = re.compile(r"//|/(?:\.|%2e){1,2}(?:/|\Z)|%2f|%5c|\\", re.IGNORECASE)
"""What servers may read as another path than is written."""


def _plain(path: str) -> str:
    """Return ``path`` if it can mean only itself, else what no pattern begins with."""
    return "" if _ELSEWHERE.search(path) else path


def _any(patterns: Sequence[str], text: str) -> bool:
    return not patterns or any(
        text.startswith(pattern[:-1]) if pattern.endswith("*") else text == pattern
        for pattern in patterns
    )


def excluded_by(exclusions: Sequence[Exclusion], call: Call) -> str:
    """Return the name of the first exclusion that takes ``call``; "" when it is to be recorded."""
    for exclusion in exclusions:
        if exclusion.takes(call):
            return exclusion.name
    return ""
