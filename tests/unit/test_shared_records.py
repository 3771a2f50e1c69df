# SPDX-License-Identifier: Apache-2.0
"""Every record of the shared corpus goes through the codec and comes back as it was."""

import gzip
import json
import os
import re
from pathlib import Path

import pytest

from opentrail.aws.request import Target
from opentrail.capture.plan import plan
from opentrail.event import codec

BESIDE = Path(__file__).parents[3] / "shared"
SHARED = Path(os.environ.get("OPENTRAIL_SHARED", str(BESIDE)))
FILES = sorted((SHARED / "data").glob("events_*.jsonl.gz"))
DELIVERED = [file for file in FILES if "streamalert" not in file.name]  # which are made up

pytestmark = pytest.mark.skipif(
    not FILES, reason="no shared records: set OPENTRAIL_SHARED to the folder that has data/"
)


def exactly(text: bytes | str) -> object:
    """Parse so that numbers compare by their spelling: 70.0 is not 70."""
    return json.loads(text, parse_float=lambda number: ("float", number))


def lines(file: Path) -> list[bytes]:
    with gzip.open(file) as stream:
        return [line.rstrip(b"\n") for line in stream]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name.split(".")[0])
def test_records_come_back_as_they_were(file):
    for line in lines(file):
        original = exactly(line)
        parts = codec.fields(line)
        assert exactly(codec.encode(parts)) == original
        assert list(parts) == list(json.loads(line))
        pretty = json.dumps(json.loads(line), indent=1).encode()
        assert json.loads(codec.minify(pretty)) == json.loads(line)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name.split(".")[0])
def test_typed_fields_are_the_records_own(file):
    for line in lines(file):
        raw = json.loads(line)
        record = codec.decode(line)
        assert record.event_name == raw.get("eventName", "")
        assert record.event_id == raw.get("eventID", "")
        assert record.read_only == raw.get("readOnly")
        assert record.user_identity.type == raw.get("userIdentity", {}).get("type", "")
        assert record.event_category == raw.get("eventCategory", "")
        if "requestParameters" in raw:
            assert json.loads(bytes(record.request_parameters)) == raw["requestParameters"]


def test_read_only_is_decided_as_delivered_records_have_it():
    seen: dict[tuple[str, str], bool] = {}
    for line in (line for file in DELIVERED for line in lines(file)):
        record = codec.decode(line)
        if record.event_type == "AwsApiCall" and record.read_only is not None:
            seen[record.event_source, record.event_name] = record.read_only
    wrong = {pair for pair, reads in seen.items() if _reads(*pair) is not reads}
    assert len(wrong) <= len(seen) * 0.01, wrong


def _reads(event_source: str, event_name: str) -> bool:
    prefix = event_source.partition(".")[0]
    service = {"monitoring": "cloudwatch", "bedrock": "bedrock-runtime"}.get(prefix, prefix)
    operation = re.sub(r"20\d{6}(v2)?$", "", event_name)
    return plan(Target(service, event_source, operation, "")).read_only.endswith(b"true")
