# SPDX-License-Identifier: Apache-2.0
"""A way to a server that is a list, for the SDK's parts; it can be away, and lose its answers."""

import json
import threading
from typing import Any

from opentrail.sdk import Recorder
from opentrail.sdk.posting import Delivered, NotSent
from opentrail.sdk.spool import Batch


class Listed:
    """A ``Post``. Knows what it has by eventID, as the intake does."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []
        self.away = False
        self.deaf = False
        """Takes what comes, and its answer is lost."""
        self.wrong = False
        """Says that the batch is wrong."""
        self.block = threading.Event()
        self.block.set()
        self.closed = False

    def __call__(self, batch: Batch) -> Delivered:
        self.block.wait()
        if self.away:
            raise NotSent("it is away", again=True)
        if self.wrong:
            raise NotSent("it is wrong", again=False)
        known = {record["eventID"] for record in self.records}
        new = [record for record in map(json.loads, batch) if record["eventID"] not in known]
        self.records += new
        if self.deaf:
            raise NotSent("no answer", again=True)
        return Delivered(len(new), len(batch) - len(new), ())

    def close(self) -> None:
        self.closed = True


def recorder(post: Listed, **given: Any) -> Recorder:
    """Return a recorder that sends to ``post`` at once."""
    return Recorder("orders.example.com", **{"post": post, "linger_s": 0.001, **given})
