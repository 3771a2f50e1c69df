# SPDX-License-Identifier: Apache-2.0
"""Targets of one trail beside each other: one that fails is behind alone, and says so alone."""

import json

import msgspec
from support.fault_proxy import Script, Trouble, fault_proxy
from support.receiver import receiver
from support.target_world import SECRET, TargetWorld

from opentrail.clock import SystemClock
from opentrail.trails.gauges import gauges
from opentrail.trails.status import TargetStatus, target_status_key
from opentrail.trails.target_setting import WebhookSetting
from opentrail.trails.target_webhook import Webhook

CUTS = 4


def told(found):
    return [key for _, body in found.came for key in json.loads(body)["s3ObjectKey"]]


def figures(world):
    """Return what the metrics page has of each target: (failing, cuts that wait)."""
    trails, end = world.registry.trails(), world.log.durable_end()
    found = {(each.name, each.target): each.value for each in gauges(world.state, trails, end, {})}
    return {
        target: (
            found.get(("trail_failing", target), 0),
            found.get(("trail_notices_waiting", target), 0),
        )
        for target in ("webhook-bad", "webhook-good", "bucket")
    }


def test_a_webhook_behind_a_bad_network_delays_neither_files_nor_another_webhook():
    troubles = [Trouble.ERROR_LOST, Trouble.SILENT_LOST, Trouble.RESET_LOST, Trouble.SLOW_DOWN]
    script = Script(choose=lambda: troubles[len(script.met) % len(troubles)], silence_s=0.05)
    with (
        receiver() as bad,
        receiver() as good,
        fault_proxy(bad.url.partition("/hook")[0], script) as url,
    ):
        bad_url = f"{url}/hook?tenant=1"
        hooks = tuple(
            Webhook(name, WebhookSetting(url=to, secret=SECRET), SystemClock())
            for name, to in (("bad", bad_url), ("good", good.url))
        )
        world = TargetWorld(hooks, ())
        trail = world.registry.start(world.create("audit"))
        for number in range(CUTS):
            world.write()
            world.registry.cut()
            for _ in range(10):
                world.clock.seconds += 1000
                world.delivery.step()
                world.announcer.step()
            assert world.delivered() == world.expected()
            assert len(told(good)) == number + 1
        assert told(bad) == []
        assert figures(world) == {
            "webhook-bad": (1, CUTS),
            "webhook-good": (0, 0),
            "bucket": (0, 0),
        }
        entry = world.state.get(target_status_key(trail.id, "webhook-bad"))
        assert entry is not None
        status = msgspec.json.decode(entry.value, type=TargetStatus)
        assert (status.error, status.delivered_ms, status.given_up) == ("ServiceUnavailable", 0, 0)
        script.choose = lambda: Trouble.NONE
        world.run()
        assert told(bad) == told(good)
        assert set(figures(world).values()) == {(0, 0)}
