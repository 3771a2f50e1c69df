# SPDX-License-Identifier: Apache-2.0
"""Every call that was seen is recorded, excluded, failed or in flight, and the page says so."""

from hypothesis import given
from hypothesis import strategies as st

from opentrail.front.metrics import Metrics

PREFIX = "opentrail_calls_"


def values(metrics: Metrics) -> dict[str, float]:
    lines = metrics.text().decode().splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if line.startswith("opentrail_"))
    return {name: float(value) for name, value in pairs}


@given(st.lists(st.sampled_from(["recorded", "excluded a", "excluded b", "failed a", "open"])))
def test_nothing_is_lost_in_silence(ends):
    metrics = Metrics()
    for end in ends:
        metrics.seen()
        kind, _, reason = end.partition(" ")
        if kind == "recorded":
            metrics.recorded()
        elif kind != "open":
            getattr(metrics, kind)(reason)
    found = values(metrics)
    assert found[f"{PREFIX}seen_total"] == len(ends)
    assert found[f"{PREFIX}recorded_total"] == ends.count("recorded")
    assert found[f"{PREFIX}in_flight"] == ends.count("open")
    for end in set(ends):
        kind, _, reason = end.partition(" ")
        if reason:
            assert found[f'{PREFIX}{kind}_total{{reason="{reason}"}}'] == ends.count(end)


def test_the_state_of_the_log_is_on_the_page():
    metrics = Metrics()
    metrics.log_end, metrics.indexed_to, metrics.log_writable = 17, 11, False
    metrics.back_restarts, metrics.identity_conflicts = 2, 3
    metrics.back_silent_s, metrics.back_still = 12.0, 2
    found = values(metrics)
    assert found["opentrail_log_durable_end"] == 17
    assert found["opentrail_history_indexed_to"] == 11
    assert found["opentrail_log_writable"] == 0
    assert found["opentrail_back_restarts"] == 2
    assert found["opentrail_back_silent_seconds"] == 12
    assert found["opentrail_back_standing_still"] == 2
    assert found["opentrail_identity_conflicts"] == 3
