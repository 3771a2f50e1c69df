# SPDX-License-Identifier: Apache-2.0
"""Runs the demo: start, call, find, sum up. Needs the demo extra."""

from opentrail.cli.demo_calls import Callers
from opentrail.cli.demo_find import Finder
from opentrail.cli.demo_show import Summary, show_for
from opentrail.cli.demo_steps import STEPS
from opentrail.cli.demo_trail import DemoTrail
from opentrail.cli.demo_world import BucketKind, World, world
from opentrail.clock import Clock, Ids

LOOK_AGAIN_S = 1.0
"""How soon ``--keep`` notices that OpenTrail has ended."""


def run(form: str, bucket: BucketKind, clock: Clock, ids: Ids, *, keep: bool) -> bool:
    """Run the demo and return whether every call was recorded, found, delivered and validated.

        1. start OpenTrail and the services behind it
        2. make a bucket and a trail, which logs from here on
        3. make the calls, finding each one's event before the next is made
        4. stop the trail; hold its files against the log, and let the AWS CLI validate them
        5. look at all calls once more, and say what came of them
        6. keep it running until Ctrl-C, when that is wanted
        7. end the processes and remove their files
    An error or a signal at any moment goes on at 7.

    Raises: Unavailable: something did not start or answer.
    """
    show = show_for(form)
    with world(clock, ids, bucket) as here:
        callers = Callers(here, clock)
        cloudtrail = callers.client("cloudtrail", here.admin)
        finder = Finder(cloudtrail, here.settings.data_dir / "log", here.server, clock)
        trail = DemoTrail(callers, here, clock)
        found = []
        with show.running():
            trail.start()
            for made in callers.run(STEPS):
                found.append(finder.find(made))
                show.add(found[-1])
            delivered = trail.stop(found)
        summary = Summary([finder.confirm(each) for each in found], delivered)
        show.end(summary, here.client_settings() if keep else None)
        if keep:
            _keep(here)
    return summary.all_good


def _keep(here: World) -> None:
    """Leave everything running until Ctrl-C. Raises: Unavailable: OpenTrail has ended."""
    try:
        while True:
            here.server.pause(LOOK_AGAIN_S)
    except KeyboardInterrupt:
        return
