# SPDX-License-Identifier: Apache-2.0
"""Targets beside buckets get all that is theirs, in order, and nothing else, whatever fails.

At least once: sends and commits that fail and did or did not happen, sends that take long, restarts,
old copies of state, changes of what a trail is connected with, in any order.
"""

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from support.delivery_world import ACCOUNTS, is_wanted
from support.log_files import Fault
from support.target_world import TargetWorld

from opentrail.errors import ClientError, Unavailable
from opentrail.eventlog.base import Entry, MarkKind
from opentrail.trails.trail import Control, Trail

GROUP = "arn:aws:logs:us-east-1:111111111111:log-group:audit:*"
OTHER_GROUP = "arn:aws:logs:us-east-1:111111111111:log-group:other:*"
BETA = 1
"""The trail that may do without topic or group, which then lose what they refused until then."""
faults = st.sampled_from([Fault.NONE, Fault.NONE, Fault.LOST, Fault.KEPT])


class Sink:
    """Where something arrives, unless it does not."""

    def __init__(self, name):
        self.name = name
        self.fault = Fault.NONE
        self.refusal = ""
        self.came = []

    def receive(self, things):
        fault, self.fault = self.fault, Fault.NONE
        if self.refusal:
            raise ClientError(self.refusal, "refused as the test wants")
        if fault is Fault.LOST:
            raise Unavailable("injected: it was lost")
        self.came += things
        if fault is Fault.KEPT:
            raise Unavailable("injected: it was kept")


class Told(Sink):
    def wants(self, trail):
        return bool(trail.sns_topic)

    def announce(self, notice):
        self.receive([notice.files[notice.told].key])
        return notice.told + 1


class Copied(Sink):
    batch_max, bytes_max, overhead, event_bytes_max = 3, 10_000, 26, 5_000

    def __init__(self, name, *, shared):
        super().__init__(name)
        self.shared = shared

    def wants(self, trail):
        return self.shared or bool(trail.log_group_arn)

    def takes(self, _record):
        return True

    def send(self, trail, records, _at_ms):
        owner = "" if self.shared else trail.id
        self.receive([(owner, each.record.event_id) for each in records])
        return 0


class TargetsOnce(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.told, self.logs = Told("sns"), Copied("logs", shared=False)
        self.bus = Copied("events", shared=True)
        self.sinks = (self.told, self.logs, self.bus)
        self.world = TargetWorld((self.told,), (self.logs, self.bus))
        self.backup = self.world.state.copy()
        self.disconnected = False
        for name in ("alpha", "beta"):
            connected = {"prefix": name, "sns_topic": "files", "log_group_arn": GROUP}
            self.world.registry.start(self.world.create(name, ACCOUNTS[0], **connected))

    def trail(self, index):
        trails = self.world.registry.trails()
        return trails[index % len(trails)]

    @rule(count=st.integers(1, 7), account=st.sampled_from([ACCOUNTS[0], *ACCOUNTS]))
    def write(self, count, account):
        for _ in range(count):
            self.world.write(account)
        self.world.clock.ms += 1000
        self.world.registry.cut()

    @rule(
        index=st.integers(0, 1),
        topic=st.sampled_from(["files", "other-files"]),
        group=st.sampled_from([GROUP, OTHER_GROUP]),
    )
    def connect(self, index, topic, group):
        self.world.update(self.trail(index), sns_topic=topic, log_group_arn=group)

    @rule(member=st.sampled_from(["sns_topic", "log_group_arn"]))
    def disconnect(self, member):
        self.world.update(self.trail(BETA), **{member: ""})
        self.disconnected = True

    @rule(index=st.integers(0, 1))
    def start_or_stop(self, index):
        trail = self.trail(index)
        change = self.world.registry.stop if trail.logging else self.world.registry.start
        change(trail)

    @rule(steps=st.lists(st.tuples(st.sampled_from([0.0, 1000.0]), faults, faults), max_size=8))
    def work(self, steps):
        for waited_s, sink, state in steps:
            self.world.clock.seconds += waited_s
            for step in (
                self.world.delivery.step,
                self.world.announcer.step,
                self.world.feeder.step,
            ):
                for each in self.sinks:
                    each.fault = sink
                self.world.state.fault = state
                try:
                    step()
                except Unavailable:
                    pass
        self.calm()

    @rule(index=st.integers(0, 2), refusal=st.sampled_from(["", "AccessDenied"]))
    def refuse(self, index, refusal):
        self.sinks[index].refusal = refusal

    @rule(held=st.booleans())
    def hold(self, held):
        self.world.threads.held = held

    @rule(index=st.integers(0, 9), fault=faults)
    def land(self, index, fault):
        for each in self.sinks:
            each.fault = fault
        self.world.threads.finish(index)
        self.calm()

    @rule(old=st.booleans())
    def restart(self, old):
        self.world.restart(self.backup if old else None)

    @rule()
    def back_up(self):
        self.backup = self.world.state.copy()

    @invariant()
    def nothing_else(self):
        copied, shared = self.expected()
        assert set(self.logs.came) <= set(copied)
        assert set(self.bus.came) <= set(shared)

    def teardown(self):
        for each in self.sinks:
            each.refusal = ""
        self.world.restart()
        self.world.registry.cut()
        self.world.run()
        copied, shared = self.expected()
        for owner in {owner for owner, _ in copied}:
            mine = [each for each in dict.fromkeys(self.logs.came) if each[0] == owner]
            assert mine == [each for each in copied if each in set(mine)]
        assert list(dict.fromkeys(self.bus.came)) == shared
        assert set(self.told.came) <= self.files_told()
        assert not list(self.world.state.scan("notice/"))
        lost = {owner for owner, _ in set(copied) - set(self.logs.came)}
        lost |= {key.partition("/")[0] for key in self.files_told() - set(self.told.came)}
        beta = self.trail(BETA)
        assert lost <= ({beta.id, beta.prefix} if self.disconnected else set())

    def expected(self):
        """Return what groups and bus must get, in order, from the log alone."""
        copied, shared = [], []
        for entry, event, trails in self.history():
            mine = [trail for trail in trails if is_wanted(trail, entry, event)]
            copied += [(trail.id, event["eventID"]) for trail in mine if trail.log_group_arn]
            shared += [("", event["eventID"])] * bool(mine)
        return copied, shared

    def files_told(self):
        """Return the keys of the files whose trail had a topic when their records came."""
        wanted = {
            (f"{trail.prefix}/", event["eventID"])
            for entry, event, trails in self.history()
            for trail in trails
            if trail.sns_topic and is_wanted(trail, entry, event)
        }
        files = {
            key: self.world.events_in(bucket, key)
            for bucket, key in self.world.objects("CloudTrail")
        }
        return {
            key
            for key, events in files.items()
            if {(each[1], each[-1]) for each in events} <= wanted
        }

    def history(self):
        trails: dict[str, Trail] = {}
        for item in self.world.log.items(0):
            if isinstance(item, Entry):
                yield item, msgspec.json.decode(item.data), list(trails.values())
            elif item.kind is MarkKind.CONTROL:
                trail = msgspec.json.decode(item.payload, type=Control).trail
                trails[trail.id] = trail

    def calm(self):
        self.world.state.fault = Fault.NONE
        for each in self.sinks:
            each.fault = Fault.NONE


TestTargetsOnce = TargetsOnce.TestCase
TestTargetsOnce.settings = settings(
    max_examples=20,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
