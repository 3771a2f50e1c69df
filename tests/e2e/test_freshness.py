# SPDX-License-Identifier: Apache-2.0
"""An event is in LookupEvents within a second of the reply that its caller saw, under load."""

import time

import pytest
from support import upstreams
from support.aws_clients import Key
from support.create_load import Load
from support.server import OpenTrail
from support.signed_requests import KEY_ID, SECRET

CALLS = 100
"""Calls whose events are looked for; enough for a 99th percentile to mean one of them."""
P99_S_MAX = 1.0
"""What is promised."""
GIVE_UP_S = 10.0
CLIENTS = 4
"""Besides ours: moderate load, a few hundred calls a second."""
ANSWER = b'{"ModelArn":"arn:aws:sagemaker:us-east-1:123456789012:model/m"}'
CONFIG = f"""
[log]
disk_reserve_bytes = 0

[access_keys.{KEY_ID}]
secret_access_key = "{SECRET}"
user_name = "load"
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory):
    with upstreams.upstream() as upstream:
        upstream.script = upstreams.answer(200, ANSWER)
        data = tmp_path_factory.mktemp("freshness") / "data"
        with OpenTrail(data, upstream=upstream.url, config=CONFIG) as found:
            yield found


def seconds_until_found(cloudtrail, name: str) -> float:
    """Return how long after now an event of the resource ``name`` is found."""
    begin = time.perf_counter()
    wanted = [{"AttributeKey": "ResourceName", "AttributeValue": name}]
    while not cloudtrail.lookup_events(LookupAttributes=wanted)["Events"]:
        assert time.perf_counter() - begin < GIVE_UP_S
        time.sleep(0.002)
    return time.perf_counter() - begin


def test_an_event_is_found_within_a_second(server: OpenTrail):
    sagemaker = server.client("sagemaker", Key(KEY_ID, SECRET))
    cloudtrail = server.client("cloudtrail")
    took = []
    with Load(server.endpoint, raw=CLIENTS, boto=0) as noted:
        for number in range(CALLS):
            name = f"fresh-{number}"
            sagemaker.create_model(ModelName=name)
            took.append(seconds_until_found(cloudtrail, name))
    took.sort()
    assert noted.answered
    assert noted.broken == 0
    p50_s, p99_s = took[CALLS // 2], took[CALLS * 99 // 100]
    assert p99_s < P99_S_MAX, f"p50 {p50_s:.3f} s beside {len(noted.answered)} calls"
