# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests share: one moto for each of pytest's processes."""

from collections.abc import Iterator

import pytest

from opentrail.sandbox.moto import start_moto


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    """Yield the address of moto's server, the emulator that stands for AWS."""
    with start_moto() as moto:
        yield moto.url
