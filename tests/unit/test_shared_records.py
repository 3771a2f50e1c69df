# SPDX-License-Identifier: Apache-2.0
"""Every record of the shared corpus goes through the codec and comes back as it was."""

import gzip
import json
import os
from pathlib import Path

import pytest

from opentrail.capture.compare import Figures
from opentrail.event import codec

BESIDE = Path(__file__).parents[3] / "shared"
SHARED = Path(os.environ.get("OPENTRAIL_SHARED", str(BESIDE)))
FILES = sorted((SHARED / "data").glob("events_*.jsonl.gz"))

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


def test_what_we_would_record_is_what_was_delivered():
    figures = Figures()
    for line in (line for file in FILES for line in lines(file)):
        figures.add(json.loads(line))
    assert figures.read_only_right >= figures.read_only * 0.99, figures.misses
    assert figures.keys_right >= figures.keys * 0.98, figures.misses
    assert figures.keys_right >= (figures.keys + figures.keys_foreign) * 0.98, figures.misses
    assert figures.known >= figures.records * 0.94
    unknown = {miss for miss in figures.misses if miss.question == "operation"}
    assert len(unknown) <= len(figures.pairs) * 0.06, unknown
