# SPDX-License-Identifier: Apache-2.0
"""What a bucket never took is told, once, by name; what it may have, or a trail holds, arrives.

Buckets that refuse for hours, puts, commits and appends that fail and did or did not happen, restarts
anywhere, a clock that jumps: each log file that the log gives a trail is in its bucket or named in
one gap event; of a trail that holds its backlog all of them are in the bucket.
"""

import json
from collections import Counter

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from support.delivery_world import ACCOUNTS, BUCKETS, REGIONS, World
from support.digest_checks import validate
from support.log_files import Fault

from opentrail.errors import Unavailable
from opentrail.eventlog.base import Entry
from opentrail.trails.backlog import GIVEN_UP_PREFIX, Patience
from opentrail.trails.parts import Limits
from opentrail.trails.status import delivery_status_key
from opentrail.verification.rederive import Rederivation

LIMITS = Limits(places_open_max=1, places_each_min=1, waiting_bytes_max=100, slice_records=3)
HOUR_MS = 3_600_000
TRAILS_MAX = 4
QUARTER_S = 900
"""What lies between two attempts of a trail whose bucket refuses, at the most that counts."""

faults = st.sampled_from([Fault.NONE, Fault.NONE, Fault.LOST, Fault.KEPT])


def gap_events(world):
    """Return serviceEventDetails of all gap events, by eventID."""
    found = [json.loads(each.data) for each in world.log.items(0) if isinstance(each, Entry)]
    return [
        (each["eventID"], each["serviceEventDetails"])
        for each in found
        if each["eventName"] == "DeliveryGap"
    ]


class GivenUpOnce(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = World(
            LIMITS, 14_400, Patience(bytes_max=12_000, retry_ms=3 * HOUR_MS, give_up=("drops",))
        )
        self.trails = [self.begin(name) for name in ("drops", "holds")]
        self.unsure = False

    def begin(self, name):
        return self.world.registry.start(self.world.create(name, is_multi_region=True))

    @precondition(lambda self: len(self.trails) < TRAILS_MAX)
    @rule()
    def delete_and_make_anew(self):
        """What the old one still had to put is given up or put, as before."""
        newest = next(each for each in reversed(self.trails) if each.name == "drops")
        self.world.registry.delete(newest)
        self.trails.append(self.begin("drops"))

    @rule(count=st.integers(1, 6), jump_s=st.sampled_from((0, 1, 60, 300, -500, 90_000)))
    def write(self, count, jump_s):
        for number in range(count):
            self.world.write(ACCOUNTS[0], REGIONS[number % 2])
        self.world.clock.ms += jump_s * 1000
        self.attempt(self.world.registry.cut)

    @rule(refusal=st.sampled_from(["", "NoSuchBucket", "AccessDenied"]))
    def refuse(self, refusal):
        self.world.buckets.find(BUCKETS[0]).refusal = refusal

    @rule(attempts=st.sampled_from((3, 6, 12, 20)), count=st.integers(0, 3))
    def outage(self, attempts, count):
        """The bucket refuses, attempts are a quarter of an hour apart, and calls go on."""
        self.refuse("AccessDenied")
        for _ in range(attempts):
            self.write(count, QUARTER_S)
            self.work(QUARTER_S, Fault.NONE, Fault.NONE, Fault.NONE)

    @rule(
        waited_s=st.sampled_from((0, 1, 400)),
        bucket=faults,
        state=faults,
        log=faults,
    )
    def work(self, waited_s, bucket, state, log):
        self.unsure |= bucket is Fault.KEPT
        self.world.clock.seconds += waited_s
        for step in (self.world.delivery.step, self.world.delivery.step, self.world.digests.step):
            self.world.buckets.find(BUCKETS[0]).fault = bucket
            self.world.state.fault, self.world.log.fault = state, log
            self.attempt(step)
        self.calm()

    @rule()
    def restart(self):
        self.world.restart()

    def attempt(self, call):
        try:
            call()
        except Unavailable:
            pass

    def calm(self):
        self.world.buckets.find(BUCKETS[0]).fault = Fault.NONE
        self.world.state.fault = self.world.log.fault = Fault.NONE

    def teardown(self):
        self.calm()
        self.world.buckets.find(BUCKETS[0]).refusal = ""
        self.world.restart()
        self.world.pass_time()
        self.world.run()
        told = gap_events(self.world)
        assert len({event_id for event_id, _ in told}) == len(told), "told twice"
        there = {key for _, key in self.world.objects("CloudTrail")}
        claimed = 0
        for trail in self.trails:
            claimed += self.check(trail, there, [each for _, each in told])
            for region in REGIONS[:2]:
                assert validate(self.world, trail.arn, region, BUCKETS[0]).wrong == []
        assert claimed == len(told)
        assert not list(self.world.state.scan(GIVEN_UP_PREFIX))

    def check(self, trail, there, told):
        """Check the files of one trail; return how many gap events are about them."""
        end = self.world.log.durable_end()
        files = {
            each.entry.s3_object: each.records
            for each in Rederivation(self.world.log, trail, end).files()
        }
        told = [each for each in told if each["s3ObjectKeys"][0] in files]
        assert {each["trailARN"] for each in told} <= {trail.arn}
        named = Counter(key for each in told for key in each["s3ObjectKeys"])
        assert all(count == 1 for count in named.values())
        assert set(files) - there <= set(named), "lost in silence"
        assert set(named) <= set(files)
        if not self.unsure:
            assert not there & set(named), "told as lost, and there"
        assert sum(each["records"] for each in told) == sum(files[key] for key in named)
        assert sum(each["files"] for each in told) == len(named)
        if trail.id in {each.id for each in self.world.registry.trails()}:
            self.check_status(trail, sum(each["records"] for each in told), len(named))
        if trail.name == "holds":
            assert not named
        return len(told)

    def check_status(self, trail, records, files):
        entry = self.world.state.get(delivery_status_key(trail.id))
        status = {"given_up": 0, "given_up_files": 0} | json.loads(entry.value if entry else "{}")
        assert (status["given_up"], status["given_up_files"]) == (records, files)


TestGivenUpOnce = GivenUpOnce.TestCase
TestGivenUpOnce.settings = settings(
    max_examples=12,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
