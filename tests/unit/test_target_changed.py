# SPDX-License-Identifier: Apache-2.0
"""A target that refuses, and its trail is given another one, or none: what waits does not wait on."""

import msgspec
import pytest
from support.target_world import TargetWorld

from opentrail.errors import ClientError
from opentrail.trails.departed import departed
from opentrail.trails.notice import NOTICE_PREFIX
from opentrail.trails.status import TargetStatus, status_prefix, target_status_key

OLD, NEW = "old", "new"
CUTS = 3
MINUTES_10_MS = 600_000


class Sinks:
    """Topics or groups by name; some are gone."""

    def __init__(self):
        self.gone = set()
        self.came = []
        self.tries = 0

    def take(self, name, things):
        self.tries += 1
        if name in self.gone:
            raise ClientError("NotFound", f"there is no {name}\nreally")
        self.came += [(name, each) for each in things]


class Topics(Sinks):
    name = "sns"

    def wants(self, trail):
        return bool(trail.sns_topic)

    def announce(self, notice):
        self.take(notice.trail.sns_topic, [notice.files[notice.told].key])
        return notice.told + 1


class Groups(Sinks):
    name = "logs"
    shared = False
    batch_max, bytes_max, overhead, event_bytes_max = 1, 10_000, 26, 5_000

    def wants(self, trail):
        return bool(trail.log_group_arn)

    def takes(self, _record):
        return True

    def send(self, trail, records, _at_ms):
        self.take(trail.log_group_arn, [each.record.event_id for each in records])
        return 0


class Case:
    """A trail that logs, and one kind of target."""

    def __init__(self, sinks, member, world):
        self.sinks, self.member, self.world = sinks, member, world
        self.trail = world.registry.start(world.create("audit", **{member: OLD}))

    def write(self):
        for _ in range(CUTS):
            self.world.write()
            self.world.registry.cut()
        self.world.run()

    def step(self):
        """Let targets do what is due, while no time passes."""
        for _ in range(3):
            self.world.announcer.step()
            self.world.feeder.step()

    def connect(self, name):
        self.world.update(self.world.registry.trails()[0], **{self.member: name})

    def status(self):
        entry = self.world.state.get(target_status_key(self.trail.id, self.sinks.name))
        return msgspec.json.decode(entry.value, type=TargetStatus)

    def names(self):
        return [name for name, _ in self.sinks.came]


@pytest.fixture(params=["topic", "group"])
def case(request):
    if request.param == "topic":
        topics = Topics()
        return Case(topics, "sns_topic", TargetWorld((topics,), ()))
    groups = Groups()
    return Case(groups, "log_group_arn", TargetWorld((), (groups,)))


def test_a_target_that_the_settings_have_no_more_fails_no_longer(case):
    """What waits for it is dropped at once, however much that is."""
    case.sinks.gone.add(OLD)
    case.write()
    assert case.status().error == "NotFound"
    case.world.announced = case.world.copied = ()
    case.world.restart()
    while case.world.announcer.step() or case.world.feeder.step():
        pass
    assert case.status() == TargetStatus(attempted_ms=case.status().attempted_ms)
    assert list(case.world.state.keys(NOTICE_PREFIX)) == []


def test_what_a_target_refused_goes_to_the_one_that_the_trail_has_by_then(case):
    case.write()
    assert case.names() == [OLD] * CUTS
    case.sinks.gone.add(OLD)
    case.write()
    assert case.status().error == "NotFound"
    case.connect(NEW)
    case.write()
    assert case.names() == [OLD] * CUTS + [NEW] * 2 * CUTS
    assert len(dict(reversed(pair) for pair in case.sinks.came)) == 3 * CUTS
    assert (case.status().error, case.status().given_up) == ("", 0)


def test_another_target_is_tried_at_once_and_the_same_one_is_not(case):
    """After an outage of some minutes the next try is minutes away."""
    case.sinks.gone.add(OLD)
    case.write()
    tried = case.sinks.tries
    case.step()
    assert case.sinks.tries == tried
    case.connect(NEW)
    case.step()
    assert (case.names()[:1], case.status().error) == ([NEW], "")


def test_one_that_is_gone_is_not_asked_again_for_all_that_waits(case, caplog):
    case.sinks.gone.add(OLD)
    case.write()
    case.write()
    case.connect(NEW)
    tried = case.sinks.tries
    case.write()
    assert case.names() == [NEW] * 3 * CUTS
    assert case.sinks.tries == tried + 3 * CUTS
    assert len(caplog.records) == 1
    # Made again, it gets what it is told of from then on.
    case.sinks.gone.clear()
    case.connect(OLD)
    case.write()
    assert case.names() == [NEW] * 3 * CUTS + [OLD] * CUTS


def test_the_log_says_once_why_a_target_waits(case, caplog):
    case.sinks.gone.add(OLD)
    case.write()
    case.write()
    said = f"{case.sinks.name} of trail {case.trail.arn} waits, it is tried again: "
    assert [each.getMessage() for each in caplog.records] == [
        f"{said}'NotFound: there is no old\\nreally'"
    ]


def test_what_a_target_takes_goes_where_it_was_meant_to(case):
    for _ in range(CUTS):
        case.world.write()
        case.world.registry.cut()
    case.connect(NEW)
    case.write()
    assert case.names() == [OLD] * CUTS + [NEW] * CUTS


def test_what_a_target_refused_is_given_up_and_counted_once_the_trail_has_none(case):
    case.sinks.gone.add(OLD)
    case.write()
    case.connect("")
    case.write()
    assert case.status().given_up == CUTS
    assert (case.status().error, case.status().failing_ms) == ("", 0)
    case.connect(NEW)
    case.write()
    assert case.names() == [NEW] * CUTS
    assert case.status().given_up == CUTS


def test_a_deleted_trail_has_the_target_that_it_had(case):
    case.sinks.gone.add(OLD)
    case.write()
    case.world.registry.delete(case.world.registry.trails()[0])
    case.world.run()
    case.sinks.gone.clear()
    case.world.run()
    assert case.names() == [OLD] * CUTS


def test_a_deleted_trail_waits_an_hour_for_a_target_that_is_deleted_too(case):
    case.sinks.gone.add(OLD)
    case.write()
    (trail,) = case.world.registry.trails()
    case.world.registry.delete(trail)
    case.world.run()
    assert departed(case.world.state, []) != []
    for _ in range(7):
        case.world.clock.ms += MINUTES_10_MS
        case.world.run()
    assert departed(case.world.state, []) == []
    assert not list(case.world.state.scan(status_prefix(trail.id)))
    case.sinks.gone.clear()
    case.world.run()
    assert case.names() == []
