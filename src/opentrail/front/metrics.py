# SPDX-License-Identifier: Apache-2.0
"""What is counted, for Prometheus: seen = recorded + excluded + failed + in flight."""

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)


class Metrics:
    """The counters and gauges of one front process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._seen = self._counter("calls_seen", "Calls that reached OpenTrail.")
        self._recorded = self._counter("calls_recorded", "Calls whose record is durable.")
        self._excluded = self._counter(
            "calls_excluded", "Calls without a record, on purpose.", "reason"
        )
        self._failed = self._counter("calls_failed", "Calls that could not be recorded.", "reason")
        self.back_restarts = self._gauge("back_restarts", "Times the back process was restarted.")
        self.in_flight = self._gauge("calls_in_flight", "Calls being answered now.")
        self.log_end = self._gauge("log_durable_end", "Position past the last durable record.")
        self.indexed = self._gauge("history_indexed_to", "Position below which all is indexed.")
        self.log_writable = self._gauge("log_writable", "1 while the log takes records.")
        self.conflicts = self._gauge(
            "identity_conflicts", "Sessions that two answers gave to different owners."
        )

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"opentrail_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"opentrail_{name}", text, registry=self.registry)

    def seen(self) -> None:
        """Count a call that arrived."""
        self._seen.inc()
        self.in_flight.inc()

    def recorded(self) -> None:
        """Count a call whose record is durable."""
        self._recorded.inc()
        self.in_flight.dec()

    def excluded(self, reason: str) -> None:
        """Count a call that has no record on purpose."""
        self._excluded.labels(reason).inc()
        self.in_flight.dec()

    def failed(self, reason: str) -> None:
        """Count a call whose record could not be made."""
        self._failed.labels(reason).inc()
        self.in_flight.dec()

    def text(self) -> bytes:
        """Return all of it in Prometheus' text format."""
        return generate_latest(self.registry)
