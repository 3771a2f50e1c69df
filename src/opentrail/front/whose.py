# SPDX-License-Identifier: Apache-2.0
"""The keys that front knows, kept up to date: the operator's file read anew, what is learned kept."""

import asyncio
import logging

from opentrail.clock import Clock, Ids
from opentrail.config import Settings
from opentrail.errors import UsageError
from opentrail.front.identity_file import IdentityFile
from opentrail.front.key_file import state_of
from opentrail.front.keys import configured_keys, key_file, key_table
from opentrail.front.vouching import IssuerKeys, make_vouched

_log = logging.getLogger("opentrail.front")


class Whose:
    """The key table and the two files that it lives from."""

    def __init__(self, settings: Settings, clock: Clock, ids: Ids) -> None:
        """Read them; makes the administrator's key at first start. Raises: UsageError."""
        self._settings = settings
        self._seen = state_of(key_file(settings))
        self.keys = key_table(settings, ids)
        jwt = settings.jwt
        self._issuer = IssuerKeys(jwt, settings.account, clock) if jwt.issuer else None
        self.vouched = make_vouched(settings, self._issuer.tokens if self._issuer else None)
        self._file = IdentityFile(settings.data_dir / "identities.jsonl")
        self._file.load(self.keys, clock.now_ms())

    def reload(self) -> None:
        """Read the operator's keys anew if their file has changed.

        A file that cannot be used is logged, and what was known stays.
        """
        seen = state_of(key_file(self._settings))
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self.keys.configure(configured_keys(self._settings))
        except UsageError as error:
            _log.error("access keys were not taken up: %s", error)

    async def step(self) -> None:
        """Do what is due: take up changed keys, and write down what was learned."""
        self.reload()
        if self._issuer is not None:
            await self._issuer.step()
        changes = self.keys.changes()
        if changes or self._file.whole:
            known = self.keys.learned() if self._file.whole else changes
            await asyncio.to_thread(self._file.write, known)

    def close(self) -> None:
        """Write down what was learned last."""
        changes = self.keys.changes()
        if changes or self._file.whole:
            self._file.write(self.keys.learned() if self._file.whole else changes)
