# SPDX-License-Identifier: Apache-2.0
"""Log files end at every interval, and once for a time in which nobody looked."""

import pytest
from support.delivery_world import JumpingClock, World
from support.trail_rooms import newest_cut

from opentrail.trails.cuts import Cuts


@pytest.mark.parametrize("interval_s", [0.5, 300.0])
def test_a_cut_at_every_interval(interval_s):
    world = World()
    world.registry.start(world.create())
    clock = JumpingClock()
    cuts = Cuts(world.registry, clock, interval_s)
    made = []
    for seconds in (0.0, 0.999, 1.0, 1.5, 1.999, 2.0, 7.0, 7.999, 8.0):
        clock.seconds = seconds * interval_s
        world.clock.ms += 1000
        before = newest_cut(world.registry)
        cuts.step()
        if newest_cut(world.registry) != before:
            made.append(seconds)
    assert made == [1.0, 2.0, 7.0, 8.0]
