# SPDX-License-Identifier: Apache-2.0
"""What the operator says: ``settings`` has the shapes, ``load`` reads them."""

from opentrail.config.access_key import AccessKeySetting
from opentrail.config.check import is_loopback, split_address
from opentrail.config.load import ENV_PREFIX, load
from opentrail.config.settings import (
    ACCOUNT_DEFAULT,
    DATA_DEFAULT,
    DAYS_MAX,
    LISTEN_DEFAULT,
    PORT_MAX,
    REGION_DEFAULT,
    TIMEOUT_S_MAX,
    Listen,
    Settings,
    Upstream,
)

__all__ = [
    "ACCOUNT_DEFAULT",
    "DATA_DEFAULT",
    "DAYS_MAX",
    "ENV_PREFIX",
    "LISTEN_DEFAULT",
    "PORT_MAX",
    "REGION_DEFAULT",
    "TIMEOUT_S_MAX",
    "AccessKeySetting",
    "Listen",
    "Settings",
    "Upstream",
    "is_loopback",
    "load",
    "split_address",
]
