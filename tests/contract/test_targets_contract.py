# SPDX-License-Identifier: Apache-2.0
"""What every target beside the bucket does: one suite over SNS, Logs, EventBridge and a webhook.

At moto's server or a receiver of the tests, through a proxy that does what networks do wrong.
"""

import os

import msgspec
import pytest
from support.delivery_world import ACCOUNTS, BUCKETS, REGIONS
from support.fault_proxy import Script, Trouble, fault_proxy
from support.log_files import HandClock
from support.receiver import receiver
from support.target_world import connected, events_at, logs_at, sns_at, webhook_at

from opentrail.eventlog.base import Origin
from opentrail.sandbox.moto import start_moto
from opentrail.state.base import Change
from opentrail.trails.announce import LOOK_INTERVAL_S
from opentrail.trails.gauges import Gauge, gauges
from opentrail.trails.status import TargetStatus, target_status_key
from opentrail.trails.statuses import GIVE_UP_MS

KINDS = ("sns", "logs", "events", "webhook")


@pytest.fixture(scope="module", autouse=True)
def alone():
    """Let nobody's AWS settings reach the clients."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
        patch.setenv("AWS_CONFIG_FILE", os.devnull)
        yield


@pytest.fixture(scope="module")
def proxied():
    """Yield (url through the proxy, url of moto, the script)."""
    script = Script()
    with start_moto() as moto, fault_proxy(moto.url, script) as url:
        yield url, moto.url, script


@pytest.fixture(params=KINDS)
def seen(request, proxied):
    url, direct, script = proxied
    clock = HandClock()
    script.next.clear()
    if request.param != "webhook":
        make = {"sns": sns_at, "logs": logs_at, "events": events_at}[request.param]
        yield make(url, direct)
        return
    with receiver() as found, fault_proxy(found.url, script) as through:
        yield webhook_at(found, clock, url=f"{through}/hook?tenant=1")


@pytest.fixture
def script(proxied):
    yield proxied[2]
    proxied[2].next.clear()


def finish(world):
    world.registry.cut()
    world.run()


def expected(world, seen):
    """Return what must have arrived, in order: of the files all, of the records those that trails take."""
    if seen.files:
        return [key for _, key in world.objects("CloudTrail")]
    return sorted((where[-1] for where in world.expected()), key=int)


def status_key(world, seen):
    owner = ACCOUNTS[0] if seen.name == "events" else world.registry.trails()[0].id
    return target_status_key(owner, seen.name)


def status(world, seen):
    entry = world.state.get(status_key(world, seen))
    return TargetStatus() if entry is None else msgspec.json.decode(entry.value, type=TargetStatus)


def in_order(arrived):
    """Leave out what came again."""
    return list(dict.fromkeys(arrived))


def test_what_is_delivered_arrives_once_and_in_order(seen):
    world = seen.world()
    connected(world, seen)
    for _ in range(25):
        world.write()
    finish(world)
    for _ in range(3):
        world.write()
    finish(world)
    arrived = seen.arrived()
    assert sorted(arrived) == sorted(expected(world, seen))
    assert len(arrived) == (2 if seen.files else 28)
    if seen.name != "events":
        # An event bus keeps no order.
        assert arrived == expected(world, seen) or seen.files
    at = status(world, seen)
    assert (at.error, at.given_up) == ("", 0)
    assert at.delivered_ms == at.attempted_ms > 0


def test_only_what_is_recorded_while_a_trail_wants_it(seen):
    world = seen.world()
    trail = world.create(**seen.connect)
    world.write()
    world.registry.start(trail)
    world.write()
    world.write(origin=Origin.IMPORT)
    world.write(ACCOUNTS[1])
    world.write(region=REGIONS[1])
    world.registry.stop(trail)
    world.write()
    finish(world)
    world.registry.start(trail)
    world.write()
    world.registry.delete(world.registry.trails()[0])
    world.write()
    finish(world)
    arrived = seen.arrived()
    assert sorted(arrived) == sorted(expected(world, seen))
    assert len(arrived) == 2
    trail_ids = {entry.key.split("/")[1] for entry in world.state.scan("status/")}
    assert trail.id not in trail_ids
    assert not list(world.state.scan(f"feed/{trail.id}/"))
    assert not list(world.state.scan("notice/"))


@pytest.mark.parametrize("trouble", [each for each in Trouble if each is not Trouble.DAMAGED])
def test_no_trouble_on_the_way_loses_anything(seen, script, trouble):
    script.silence_s = 0.0
    world = seen.world()
    connected(world, seen)
    for _ in range(3):
        world.write()
    world.registry.cut()
    for _ in range(30):
        world.delivery.step()
    script.next[:] = [trouble] * 3
    world.announcer.step()
    world.feeder.step()
    script.next.clear()
    finish(world)
    assert sorted(in_order(seen.arrived())) == sorted(expected(world, seen))
    assert status(world, seen).error == ""


def test_a_refusal_is_told_and_nothing_is_lost(seen):
    if not seen.code:
        return  # a bus takes everything, also what there is none of
    world = seen.world()
    trail = connected(world, seen)
    finish(world)
    seen.break_it()
    world.write()
    world.registry.cut()
    for _ in range(30):
        world.delivery.step()
    world.clock.seconds += LOOK_INTERVAL_S
    world.announcer.step()
    world.feeder.step()
    at = status(world, seen)
    assert (at.error, at.delivered_ms) == (seen.code, 0)
    waits = gauges(
        world.state, world.registry.trails(), world.log.durable_end(), world.feeder.behind()
    )
    wanted = "trail_notices_waiting" if seen.files else "trail_behind_bytes"
    assert [
        each.value > 0 for each in waits if (each.name, each.target) == (wanted, seen.name)
    ] == [True]
    assert Gauge("trail_failing", seen.name, trail.arn, 1) in waits
    seen.mend_it()
    world.clock.ms += 5_000
    finish(world)
    assert in_order(seen.arrived()) == expected(world, seen)
    assert (status(world, seen).error, status(world, seen).delivered_ms) == ("", world.clock.ms)


def test_after_a_crash_it_is_sent_again_and_nothing_is_lost(seen):
    world = seen.world()
    connected(world, seen)
    world.write()
    world.registry.cut()
    for _ in range(30):
        world.delivery.step()
    backup = world.state.copy()
    world.announcer.step()
    world.feeder.step()
    assert len(seen.arrived()) == 1
    world.restart(backup)
    finish(world)
    assert in_order(seen.arrived()) == expected(world, seen)
    assert len(seen.arrived()) == 2


def test_a_failing_target_holds_up_nobody_else(seen):
    world = seen.world()
    connected(world, seen)
    finish(world)
    world.threads.held = True
    world.write()
    world.registry.cut()
    for _ in range(30):
        world.announcer.step()
        world.feeder.step()
        world.delivery.step()
        # Puts go on; what waits for the target does not.
        if any("work" in repr(each) for each in world.threads.waiting[1:]):
            break
    world.threads.release()
    finish(world)
    assert world.delivered() == world.expected()
    assert in_order(seen.arrived()) == expected(world, seen)


@pytest.mark.parametrize("tried", [True, False])
def test_what_was_tried_in_vain_for_thirty_days_is_given_up_and_counted(seen, tried):
    """A server that was off for as long, or a clock that jumped, gives nothing up."""
    world = seen.world()
    world.clock.ms -= GIVE_UP_MS + 1000
    connected(world, seen)
    finish(world)
    for _ in range(2):
        world.write()
    world.registry.cut()
    for _ in range(30):
        world.delivery.step()
    world.clock.ms += GIVE_UP_MS + 1000
    world.write()
    before = TargetStatus(error="Throttled", failing_ms=GIVE_UP_MS - (not tried))
    world.state.commit([Change(status_key(world, seen), msgspec.json.encode(before), None)])
    finish(world)
    wanted = expected(world, seen)
    assert in_order(seen.arrived()) == (wanted[-1:] if tried else wanted)
    lost = 1 if seen.files else 2
    assert status(world, seen).given_up == (lost if tried else 0)
    assert len(list(world.objects("CloudTrail"))) == 2


def test_a_change_of_trails_holds_for_what_is_recorded_later(seen):
    world = seen.world()
    trail = connected(world, seen)
    world.write()
    world.update(trail, sns_topic="", log_group_arn="", log_role_arn="", bucket=BUCKETS[1])
    world.write()
    finish(world)
    wanted = expected(world, seen)
    if seen.name in ("sns", "logs"):
        wanted = wanted[:1]
    assert sorted(seen.arrived()) == sorted(wanted)
