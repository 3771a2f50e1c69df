# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests share: one moto for each of pytest's processes."""

import signal
from collections.abc import Iterator

import pytest

from opentrail.sandbox.moto import start_moto

# A run in the background of a shell has SIGINT ignored, one under nohup SIGHUP, and programs that a test
# starts would inherit that: they could not be interrupted.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    """Yield the address of moto's server, the emulator that stands for AWS."""
    with start_moto() as moto:
        yield moto.url
