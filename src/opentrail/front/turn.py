# SPDX-License-Identifier: Apache-2.0
"""Giving way to whatever else the event loop has to do."""

import asyncio


async def turn() -> None:
    """Return once the event loop has done whatever else there was to do."""
    loop = asyncio.get_running_loop()
    passed: asyncio.Future[None] = loop.create_future()
    loop.call_soon(passed.set_result, None)
    await passed
