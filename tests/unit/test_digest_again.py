# SPDX-License-Identifier: Apache-2.0
"""What it costs that a bucket does not take a digest at once."""

from support.delivery_world import BUCKETS, NOW_MS, World
from support.digest_checks import all_digests, check_all

HOUR_MS = 3_600_000


def test_state_is_searched_once_for_a_window_however_often_it_is_put(monkeypatch):
    """In a long outage the files of many windows wait there."""
    world = World(digest_interval_s=HOUR_MS // 1000)
    world.registry.start(world.create())
    world.write()
    world.clock.ms += HOUR_MS // 2
    world.registry.cut()
    world.run()
    world.buckets.find(BUCKETS[0]).refusal = "AccessDenied"
    world.clock.ms = NOW_MS + HOUR_MS
    world.registry.cut()
    scanned = []
    scan = world.state.scan

    def counted(prefix):
        scanned.append(prefix)
        return scan(prefix)

    monkeypatch.setattr(world.state, "scan", counted)
    for _ in range(20):
        world.clock.seconds += 1000
        world.delivery.step()
        world.digests.step()
        world.digests.step()
    searches = [prefix for prefix in scanned if prefix.startswith("delivered/")]
    assert len(searches) == 1
    world.buckets.find(BUCKETS[0]).refusal = ""
    world.run()
    assert [len(digest["logFiles"]) for _, _, digest in all_digests(world)] == [0, 1]
    check_all(world)
