# SPDX-License-Identifier: Apache-2.0
"""Every selected event is in exactly one file of its trail, signed, whatever fails and restarts.

Puts, commits and appends that fail and did or did not happen, puts that take long, end in another
order or after their process was killed, readings that are left and taken up again, restarts, old copies
of state, a clock that jumps both ways, changes of selectors and destinations under a backlog, in any
order.
"""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from support.delivery_world import ACCOUNTS, BUCKETS, REGIONS, SELECTORS, World
from support.digest_checks import check_all, validate
from support.log_files import Fault

from opentrail.errors import Unavailable
from opentrail.eventlog.base import Origin
from opentrail.trails.parts import Limits

LIMITS = Limits(
    file_bytes_max=1000,
    places_open_max=2,
    places_each_min=1,
    waiting_bytes_max=100,
    slice_records=3,
)
"""Two records a file, a second reading for a third place, one that is left at the third file."""
NAMES = ("alpha", "beta")
JUMPS_S = (-4000, -61, 0, 0, 1, 20, 60, 61, 200, 100_000)
WAITS_S = (0.0, 1.0, 1000.0)

faults = st.sampled_from([Fault.NONE, Fault.NONE, Fault.LOST, Fault.KEPT])
chosen = st.integers(0, len(NAMES) * len(ACCOUNTS) - 1)
records = st.lists(
    st.tuples(
        st.sampled_from(ACCOUNTS),
        st.sampled_from(REGIONS),
        st.sampled_from(["Management", "Management", "Data"]),
        st.booleans(),
        st.sampled_from([Origin.CAPTURE, Origin.CAPTURE, Origin.INTERNAL, Origin.IMPORT]),
    ),
    min_size=1,
    max_size=12,
)


class DeliveryOnce(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = World(LIMITS, digest_interval_s=60)
        self.world.clock.ms += 123
        self.backup = self.world.state.copy()
        self.parsed: dict[tuple[str, str], list[tuple[str, str, str, str, str]]] = {}
        self.arns: set[tuple[str, str, str]] = set()

    def trail(self, index):
        trails = self.world.registry.trails()
        return trails[index % len(trails)] if trails else None

    @initialize(multi=st.booleans(), validation=st.sampled_from([True, True, False]))
    def begin(self, multi, validation):
        """Most of what can go wrong needs a trail that logs: there are some from the start."""
        for name, account in (
            (NAMES[0], ACCOUNTS[0]),
            (NAMES[1], ACCOUNTS[0]),
            (NAMES[0], ACCOUNTS[1]),
        ):
            self.create_and_start(name, account, multi, validation, BUCKETS[0])

    @rule(records=records, seconds=st.sampled_from(JUMPS_S), then_cut=st.booleans())
    def write(self, records, seconds, then_cut):
        for account, region, category, read_only, origin in records:
            self.world.write(account, region, origin, category=category, read_only=read_only)
        self.world.clock.ms += seconds * 1000
        self.world.steady.seconds += min(abs(seconds), 200)
        if then_cut:
            self.world.registry.cut()

    @rule(account=st.sampled_from(ACCOUNTS), count=st.integers(5, 12), step=st.integers(1, 3))
    def write_many(self, account, count, step):
        """More than waits for a bucket at once, of several places in turns."""
        for number in range(count):
            self.world.write(account, REGIONS[number // step % len(REGIONS)])
        self.world.registry.cut()

    @rule(
        name=st.sampled_from(NAMES),
        account=st.sampled_from(ACCOUNTS),
        multi=st.booleans(),
        validation=st.booleans(),
        bucket=st.sampled_from(BUCKETS),
    )
    def create_and_start(self, name, account, multi, validation, bucket):
        trails = self.world.registry.trails()
        if any(each.account == account and each.name == name for each in trails):
            return
        words = {"is_multi_region": multi, "log_file_validation": validation, "bucket": bucket}
        trail = self.world.create(name, account, **words)
        self.world.registry.start(trail)
        self.arns |= {(trail.arn, region, each) for region in REGIONS for each in BUCKETS}

    @rule(index=chosen, fault=faults)
    def start_or_stop(self, index, fault):
        trail = self.trail(index)
        if trail is not None:
            self.world.log.fault = fault
            self.attempt(
                self.world.registry.stop if trail.logging else self.world.registry.start, trail
            )

    @rule(index=chosen)
    def delete(self, index):
        trail = self.trail(index)
        if trail is not None:
            self.attempt(self.world.registry.delete, trail)

    @rule(index=chosen, bucket=st.sampled_from(BUCKETS), prefix=st.sampled_from(["", "logs"]))
    def move(self, index, bucket, prefix):
        self.change(index, bucket=bucket, prefix=prefix)

    @rule(index=chosen, name=st.sampled_from(sorted(SELECTORS)))
    def select(self, index, name):
        self.change(index, **SELECTORS[name])

    @rule(index=chosen, validation=st.booleans(), multi=st.booleans())
    def widen_or_narrow(self, index, validation, multi):
        self.change(index, log_file_validation=validation, is_multi_region=multi)

    @rule(fault=faults)
    def cut(self, fault):
        self.world.log.fault = fault
        self.attempt(self.world.registry.cut)

    @rule(
        steps=st.lists(st.tuples(st.sampled_from(WAITS_S), faults, faults), min_size=1, max_size=6)
    )
    def work(self, steps):
        """Let delivery and digests take steps; their puts and commits fail as drawn."""
        for waited_s, bucket, state in steps:
            self.world.clock.seconds += waited_s
            for step in (self.world.delivery.step, self.world.digests.step):
                self.set_faults(bucket, state)
                self.attempt(step)
        self.set_faults(Fault.NONE, Fault.NONE)

    @rule(held=st.booleans())
    def hold(self, held):
        """Puts take long from now on, or do no more; those under way still do."""
        self.world.threads.held = held

    @rule(index=st.integers(0, 9), stray=st.booleans(), fault=faults)
    def land(self, index, stray, fault):
        """A put ends, perhaps one of a process that was killed."""
        waiting = self.world.strays if stray else self.world.threads.waiting
        if waiting:
            self.set_faults(fault, Fault.NONE)
            waiting.pop(index % len(waiting))()
            self.set_faults(Fault.NONE, Fault.NONE)

    @rule(bucket=st.sampled_from(BUCKETS), refusal=st.sampled_from(["", "", "NoSuchBucket"]))
    def refuse(self, bucket, refusal):
        self.world.buckets.find(bucket).refusal = refusal

    @rule()
    def restart(self):
        self.world.restart()

    @rule()
    def back_up(self):
        self.backup = self.world.state.copy()

    @precondition(lambda self: self.world.numbers > 3)
    @rule()
    def restore(self):
        self.world.restart(self.backup)

    @invariant()
    def nothing_twice_and_nothing_unselected(self):
        for where in self.world.objects("CloudTrail"):
            if where not in self.parsed:
                self.parsed[where] = self.world.events_in(*where)
        found = sorted(each for events in self.parsed.values() for each in events)
        expected = self.world.expected()
        for each in set(found):
            assert found.count(each) <= expected[each], each

    def teardown(self):
        for bucket in self.world.buckets.all.values():
            bucket.refusal = ""
        self.world.restart()
        self.world.pass_time()
        self.world.run()
        assert self.world.delivered() == self.world.expected()
        check_all(self.world)
        for arn, region, name in self.arns:
            assert validate(self.world, arn, region, name).wrong == []
        self.nothing_is_left_behind()

    def nothing_is_left_behind(self):
        """What state keeps is of trails that are there; and closed windows' files are done with."""
        ids = {trail.id for trail in self.world.registry.trails()}
        for prefix in ("cursor/", "progress/", "status/", "digest/chain/", "delivered/"):
            for entry in self.world.state.scan(prefix):
                assert entry.key.removeprefix(prefix).split("/")[0] in ids, entry.key
        assert not list(self.world.state.scan("digest/due/"))
        assert not list(self.world.state.scan("digest/edge/"))

    def change(self, index, **changes):
        trail = self.trail(index)
        if trail is not None:
            self.attempt(self.world.update, trail, **changes)

    def set_faults(self, bucket, state):
        for each in self.world.buckets.all.values():
            each.fault = bucket
        self.world.state.fault = state

    def attempt(self, call, *words, **more):
        try:
            call(*words, **more)
        except Unavailable:
            pass
        finally:
            self.world.log.fault = Fault.NONE


TestDeliveryOnce = DeliveryOnce.TestCase
TestDeliveryOnce.settings = settings(
    max_examples=50,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
