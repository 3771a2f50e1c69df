# SPDX-License-Identifier: Apache-2.0
"""Whether the back process still answers: it is asked again and again, beside all calls.

One that hangs (stopped, or at a file system that gives no answer) is not gone: its socket stays open.
"""

import asyncio
import logging
from collections.abc import Callable

ASKED_EACH_S = 2.0
"""What a question costs is not to be seen beside anything else at this rate."""
SILENT_S_MAX = 10.0
"""A back that does not get round to an answer for so long hangs: with the lowest priority on a busy
machine it takes tenths of a second."""

_log = logging.getLogger("opentrail.back")


class Pulse:
    """Counts the turns for which a question was left without an answer. Owned by the event loop.

    Turns, not seconds: a machine that slept, or that stopped both processes, has no turns meanwhile.
    """

    def __init__(self, ask: Callable[[], None], each_s: float = ASKED_EACH_S) -> None:
        """``ask`` sends one question, every ``each_s`` seconds unless one is open."""
        self._ask = ask
        self._each_s = each_s
        self._turns = 0
        self._is_open = False
        self._timer: asyncio.TimerHandle | None = None

    @property
    def silent_s(self) -> float:
        """For how long no answer has come, seconds; 0: the last one has, or none is due."""
        return self._turns * self._each_s

    @property
    def is_lost(self) -> bool:
        """Whether that is too long."""
        return self.silent_s >= SILENT_S_MAX

    def begin(self) -> None:
        """Ask from now on."""
        self.end()
        self._turn()

    def _turn(self) -> None:
        if self._is_open:
            was_lost = self.is_lost
            self._turns += 1
            if self.is_lost and not was_lost:
                _log.error(
                    "back has not answered for %s s: it was stopped, or waits for a disk or an"
                    " endpoint; what it is asked waits. If that lasts, kill it: it is started again",
                    SILENT_S_MAX,
                )
        else:
            self._is_open = True
            self._ask()
        self._timer = asyncio.get_running_loop().call_later(self._each_s, self._turn)

    def heard(self) -> None:
        """Take the answer."""
        if self.is_lost:
            _log.warning("back answers again, after %s s", self.silent_s)
        self._turns, self._is_open = 0, False

    def end(self) -> None:
        """Ask no more: there is nobody to answer."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._turns, self._is_open = None, 0, False
