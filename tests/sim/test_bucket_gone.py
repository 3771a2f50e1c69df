# SPDX-License-Identifier: Apache-2.0
"""Buckets that vanish with all that is in them, and trails that get another one, in any order.

Each record is in one log file, or in a bucket that was lost with it; and where each file lies is what
the log alone says.
"""

from collections import Counter

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule
from support.delivery_world import ACCOUNTS, BUCKETS, REGIONS, World
from support.log_files import Fault

from opentrail.errors import Unavailable
from opentrail.trails.status import NO_BUCKET
from opentrail.verification.rederive import Rederivation

faults = st.sampled_from([Fault.NONE, Fault.NONE, Fault.LOST, Fault.KEPT])


class BucketGone(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.world = World()
        self.lost = set()
        self.lost_events = set()
        self.world.registry.start(self.world.create("audit", is_multi_region=True))

    @rule(regions=st.lists(st.sampled_from(REGIONS[:2]), min_size=1, max_size=4))
    def write(self, regions):
        for region in regions:
            self.world.write(ACCOUNTS[0], region)
        self.world.clock.ms += 1000
        self.world.registry.cut()

    @rule()
    def pass_time(self):
        self.world.pass_time()

    @rule(steps=st.lists(st.tuples(faults, faults), min_size=1, max_size=12))
    def work(self, steps):
        for bucket, state in steps:
            self.world.clock.seconds += 1000
            for step in (self.world.delivery.step, self.world.digests.step):
                for each in self.world.buckets.all.values():
                    each.fault = bucket
                self.world.state.fault = state
                try:
                    step()
                except Unavailable:
                    pass
        self.calm()

    @rule(name=st.sampled_from(BUCKETS))
    def lose(self, name):
        bucket = self.world.buckets.find(name)
        for found, key in list(self.world.objects("CloudTrail")):
            if found == name:
                self.lost.add((name, key))
                self.lost_events |= {each[-1] for each in self.world.events_in(name, key)}
        bucket.objects.clear()
        bucket.refusal = NO_BUCKET

    @rule(name=st.sampled_from(BUCKETS), prefix=st.sampled_from(["", "logs"]))
    def update(self, name, prefix):
        """As UpdateTrail does: the bucket that the trail gets is there."""
        (before,) = self.world.registry.trails()
        self.world.buckets.find(name).refusal = ""
        status = self.world.registry.status(before.id).delivery
        waits_for = status.bucket if status.error else before.bucket
        gone = status.error in ("", NO_BUCKET) and waits_for != name
        gone = gone and self.world.buckets.find(waits_for).refusal == NO_BUCKET
        after = msgspec.structs.replace(before, bucket=name, prefix=prefix)
        after = self.world.registry.taking_over(before, after, from_gone=gone)
        self.world.registry.change(after, "UpdateTrail")

    @rule(
        steps=st.lists(st.tuples(faults, faults), max_size=4),
        name=st.sampled_from(BUCKETS),
        prefix=st.sampled_from(["", "logs"]),
    )
    def accident(self, steps, name, prefix):
        """The bucket is lost in the middle of a delivery, and another one is given at once or later."""
        self.write(REGIONS[:2])
        self.write(REGIONS[:2])
        self.work(steps)
        self.lose(self.world.registry.trails()[0].bucket)
        self.work(steps)
        self.update(name, prefix)

    @rule()
    def stop_or_start(self):
        (trail,) = self.world.registry.trails()
        change = self.world.registry.stop if trail.logging else self.world.registry.start
        change(trail)

    @rule()
    def restart(self):
        self.world.restart()

    def teardown(self):
        self.calm()
        for _ in range(2):  # what is found to wait is taken over by the next update
            self.work([(Fault.NONE, Fault.NONE)] * 12)
            (trail,) = self.world.registry.trails()
            self.update(trail.bucket, trail.prefix)
            self.world.pass_time()
            self.world.run()
        found = Counter(each[-1] for each in self.world.delivered().elements())
        assert set(found.values()) <= {1}
        wanted = {each[-1] for each in self.world.expected()}
        assert set(found) <= wanted
        assert wanted - set(found) <= self.lost_events
        (trail,) = self.world.registry.trails()
        derived = Rederivation(self.world.log, trail, self.world.log.durable_end()).files()
        places = {(each.entry.s3_bucket, each.entry.s3_object) for each in derived}
        there = set(self.world.objects("CloudTrail"))
        assert there <= places <= there | self.lost
        assert not list(self.world.state.scan("digest/due/"))

    def calm(self):
        self.world.state.fault = Fault.NONE
        for each in self.world.buckets.all.values():
            each.fault = Fault.NONE


TestBucketGone = BucketGone.TestCase
TestBucketGone.settings = settings(
    max_examples=25,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
