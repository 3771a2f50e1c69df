# SPDX-License-Identifier: Apache-2.0
"""What is counted, for Prometheus: seen = recorded + excluded + failed + in flight."""

from collections import Counter
from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from opentrail.eventlog.counts import Accounts

INTAKE_VERDICTS = ("accepted", "duplicate", "rejected", "failed")
"""What may become of a record that is sent to us: received is their sum."""


TRAIL_GAUGES = {
    "trail_behind_bytes": "Bytes of the log that a target of a trail has before it.",
    "trail_failing": "1 while a target of a trail refuses or does not answer.",
    "trail_notices_waiting": "Ranges of files that a target was not told of yet.",
    "trail_backlog_full": "1 while a trail's bucket has more before it than backlog_bytes_max.",
    "trail_given_up": "Files or records that a target never took; of a bucket, records.",
}
"""What back tells of trails; labels: target and trail."""


class Metrics(Collector):
    """The counters and gauges of one front process.

    Plain numbers, owned by the event loop: the client library's own counters take a lock each.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        self._registry.register(self)
        self._seen = 0
        self._recorded = 0
        self._excluded: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        self.connections = 0
        self.connections_refused = 0
        self._intake: Counter[str] = Counter()
        self._intake_refused: Counter[str] = Counter()
        self.intake_window_records = 0
        self.intake_window_s = 0.0
        self.back_restarts = 0
        self.back_silent_s = 0.0
        self.back_still = 0
        self.log_end = 0
        self.accounts = Accounts(0, 0, 0, 0, 0)
        self.indexed_to = 0
        self.log_writable = True
        self.identity_conflicts = 0
        self.trails: list[tuple[str, str, str, float]] = []
        """Name, target, trail and value, as back last told them."""

    def seen(self) -> None:
        """Count a call that arrived."""
        self._seen += 1

    def recorded(self) -> None:
        """Count a call whose record is durable."""
        self._recorded += 1

    def excluded(self, reason: str) -> None:
        """Count a call that has no record on purpose."""
        self._excluded[reason] += 1

    def failed(self, reason: str) -> None:
        """Count a call whose record could not be made."""
        self._failed[reason] += 1

    def intake(self, verdict: str, count: int) -> None:
        """Count records that were sent to us; see ``capture.intake.Counts``."""
        self._intake[verdict] += count

    def intake_refused(self, code: str) -> None:
        """Count a request to the intake that was refused as a whole."""
        self._intake_refused[code] += 1

    def collect(self) -> Iterator[Metric]:
        """Yield everything, as the library asks for it."""
        yield _counter("calls_seen", "Calls that reached OpenTrail.", self._seen)
        yield _counter("calls_recorded", "Calls whose record is durable.", self._recorded)
        yield _by_reason("calls_excluded", "Calls without a record, on purpose.", self._excluded)
        yield _by_reason("calls_failed", "Calls that could not be recorded.", self._failed)
        done = self._recorded + self._excluded.total() + self._failed.total()
        yield _gauge("calls_in_flight", "Calls being answered now.", self._seen - done)
        yield _gauge("connections", "Connections of clients now.", self.connections)
        refused = self.connections_refused
        yield _counter("connections_refused", "Connections that were one too many.", refused)
        yield from self._collect_intake()
        yield _gauge("back_restarts", "Times the back process was restarted.", self.back_restarts)
        text = "For how long the back process has not answered; 0: it does."
        yield _gauge("back_silent_seconds", text, self.back_silent_s)
        text = "Parts of the back process that stand still: history, trails, targets, watchers."
        yield _gauge("back_standing_still", text, self.back_still)
        yield _gauge("log_durable_end", "Position past the last durable record.", self.log_end)
        yield from self._collect_accounts()
        yield _gauge("history_indexed_to", "Position below which all is indexed.", self.indexed_to)
        yield _gauge("log_writable", "1 while the log takes records.", int(self.log_writable))
        conflicts = self.identity_conflicts
        yield _gauge("identity_conflicts", "Sessions given to two different owners.", conflicts)
        yield from self._collect_trails()

    def _collect_accounts(self) -> Iterator[Metric]:
        text = "Records ever appended, those that retention deleted too."
        yield _gauge("log_records_appended", text, self.accounts.appended)
        text = "What became of them: the sum is what was appended."
        family = GaugeMetricFamily("opentrail_log_records", text, labels=("state",))
        for state in ("indexed", "no_event", "beyond_retention", "waiting"):
            family.add_metric((state,), getattr(self.accounts, state))
        yield family

    def _collect_trails(self) -> Iterator[Metric]:
        for name, text in TRAIL_GAUGES.items():
            labels = ("target", "trail")
            family = GaugeMetricFamily(f"opentrail_{name}", text, labels=labels)
            for found, target, trail, value in self.trails:
                if found == name:
                    family.add_metric((target, trail), value)
            yield family

    def _collect_intake(self) -> Iterator[Metric]:
        verdicts = {name: self._intake[name] for name in INTAKE_VERDICTS}
        text = "Records that were sent to the intake."
        yield _labelled("intake_records", text, "verdict", verdicts)
        text = "Accepted records whose eventID another record had."
        yield _counter("intake_conflicts", text, self._intake["conflict"])
        text = "Requests to the intake that were refused as a whole."
        yield _labelled("intake_refused", text, "code", self._intake_refused)
        text = "Records by which the intake knows what is sent again."
        yield _gauge("intake_window_records", text, self.intake_window_records)
        text = "Age of the oldest of them."
        yield _gauge("intake_window_seconds", text, self.intake_window_s)

    def text(self) -> bytes:
        """Return all of it in Prometheus' text format."""
        return generate_latest(self._registry)


def _counter(name: str, text: str, value: int) -> Metric:
    return CounterMetricFamily(f"opentrail_{name}", text, value=value)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"opentrail_{name}", text, value=value)


def _by_reason(name: str, text: str, values: Counter[str]) -> Metric:
    return _labelled(name, text, "reason", values)


def _labelled(name: str, text: str, label: str, values: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(f"opentrail_{name}", text, labels=(label,))
    for reason, value in sorted(values.items()):
        family.add_metric((reason,), value)
    return family
