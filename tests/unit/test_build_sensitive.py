# SPDX-License-Identifier: Apache-2.0
"""No value that a model marks as sensitive is in any record: requests, answers and errors.

Of each service one operation in six is taken; with EVERY_OPERATION=1
in the environment all of them, which takes about a minute.
"""

import json
import os
import random

from support.sensitive_calls import (
    PLANTED,
    calls,
    operations_with_secrets,
    services_with_secrets,
)

from opentrail.capture.build import BuildSettings, Built, build

SHARE = 1 if os.environ.get("EVERY_OPERATION") else 6
"""One operation of so many is taken."""
EVERYTHING = BuildSettings(record_unlogged=True)


def test_no_sensitive_value_of_any_service_is_recorded():
    rng = random.Random(7)
    planted = made = 0
    for model in services_with_secrets():
        operations = list(operations_with_secrets(model))
        for operation in operations[rng.randrange(SHARE) % len(operations) :: SHARE]:
            for call in calls(operation, rng):
                built = build(call, EVERYTHING)
                assert isinstance(built, Built)
                found = [value for value in PLANTED if value in built.data]
                assert not found, (model.service_name, operation.name, call.status)
                assert json.loads(built.data)["eventName"]
                sent = b"".join((call.request.data, call.response.data, str(call.head).encode()))
                planted += any(value in sent for value in PLANTED)
                made += 1
    assert planted == made > 20_000 / (SHARE + 1)
