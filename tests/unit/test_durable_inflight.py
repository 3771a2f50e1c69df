# SPDX-License-Identifier: Apache-2.0
"""The table of calls that are being forwarded: what it says after each way to end."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.log_files import Fault, FaultFiles

from opentrail.errors import Corrupt, Unavailable
from opentrail.eventlog.inflight import (
    HEADER_BYTES,
    PAYLOAD_BYTES_MAX,
    SLOT_BYTES,
    SLOTS_MAX,
    Ended,
    InFlight,
)

BOOT = b"boot-one-16-byte"
NEXT_BOOT = b"boot-two-16-byte"
EVENT = bytes(range(16))


def opened(path, boot_id=BOOT, slots=4):
    return InFlight.open(path, boot_id, slots)


def test_a_new_table_is_clean(tmp_path):
    table, leftovers, ended = opened(tmp_path / "inflight")
    assert (leftovers, ended) == ([], Ended.CLEAN)
    assert table.ended_boot_id == bytes(16)
    table.close()
    assert opened(tmp_path / "inflight")[2] is Ended.CLEAN


def test_a_killed_process_leaves_its_calls(tmp_path):
    table, _, _ = opened(tmp_path / "inflight")
    table.claim(EVENT, 1_700_000_000_000, b"first")
    done = table.claim(bytes(16), 1, b"done")
    table.claim(EVENT[::-1], 1_700_000_000_001, b"")
    table.release(done)
    _, leftovers, ended = opened(tmp_path / "inflight")
    assert ended is Ended.KILLED
    found = {(entry.event_id, entry.started_ms, entry.payload) for entry in leftovers}
    assert found == {
        (EVENT, 1_700_000_000_000, b"first"),
        (EVENT[::-1], 1_700_000_000_001, b""),
    }


def test_another_boot_is_a_power_loss(tmp_path):
    table, _, _ = opened(tmp_path / "inflight")
    table.claim(EVENT, 1, b"x")
    table, leftovers, ended = opened(tmp_path / "inflight", NEXT_BOOT)
    assert ended is Ended.POWER_LOSS
    assert len(leftovers) == 1
    assert table.ended_boot_id == BOOT


def test_another_boot_after_a_clean_end_is_clean(tmp_path):
    opened(tmp_path / "inflight")[0].close()
    assert opened(tmp_path / "inflight", NEXT_BOOT)[2] is Ended.CLEAN


@pytest.mark.parametrize("boot_id", [BOOT, NEXT_BOOT])
def test_a_crash_while_recovering_tells_the_same_again(tmp_path, boot_id):
    table, _, _ = opened(tmp_path / "inflight")
    table.claim(EVENT, 1, b"x")
    first = opened(tmp_path / "inflight", boot_id)
    again = opened(tmp_path / "inflight", boot_id)
    assert again[1:] == first[1:]
    assert again[0].ended_boot_id == BOOT
    again[0].release(again[1][0].slot)
    again[0].recorded()
    again[0].close()
    assert opened(tmp_path / "inflight", boot_id)[1:] == ([], Ended.CLEAN)


def test_a_clean_end_does_not_forget_what_was_not_recorded(tmp_path):
    opened(tmp_path / "inflight")
    opened(tmp_path / "inflight", NEXT_BOOT)[0].close()
    table, _, ended = opened(tmp_path / "inflight", NEXT_BOOT)
    assert ended is Ended.POWER_LOSS
    assert table.ended_boot_id == BOOT


def test_a_power_loss_while_recovering_from_a_kill_is_a_power_loss(tmp_path):
    opened(tmp_path / "inflight")
    assert opened(tmp_path / "inflight")[2] is Ended.KILLED
    assert opened(tmp_path / "inflight", NEXT_BOOT)[2] is Ended.POWER_LOSS


def test_leftovers_keep_their_slots(tmp_path):
    table, _, _ = opened(tmp_path / "inflight", slots=2)
    table.claim(EVENT, 1, b"x")
    table, leftovers, _ = opened(tmp_path / "inflight", slots=2)
    table.claim(EVENT, 2, b"y")
    with pytest.raises(Unavailable, match="too many"):
        table.claim(EVENT, 3, b"z")
    table.release(leftovers[0].slot)
    assert table.claim(EVENT, 3, b"z") == leftovers[0].slot


def test_as_many_calls_as_slots(tmp_path):
    table, _, _ = opened(tmp_path / "inflight", slots=3)
    slots = [table.claim(EVENT, 1, b"") for _ in range(3)]
    assert sorted(slots) == [0, 1, 2]
    with pytest.raises(Unavailable):
        table.claim(EVENT, 1, b"")


def test_the_longest_payload(tmp_path):
    table, _, _ = opened(tmp_path / "inflight")
    for _ in range(2):
        table.claim(EVENT, 1, b"x" * PAYLOAD_BYTES_MAX)
    with pytest.raises(ValueError, match=str(PAYLOAD_BYTES_MAX)):
        table.claim(EVENT, 1, b"x" * (PAYLOAD_BYTES_MAX + 1))
    leftovers = opened(tmp_path / "inflight")[1]
    assert [entry.payload for entry in leftovers] == [b"x" * PAYLOAD_BYTES_MAX] * 2


def test_a_torn_slot_is_freed(tmp_path):
    path = tmp_path / "inflight"
    table, _, _ = opened(path)
    slot = table.claim(EVENT, 1, b"payload")
    data = bytearray(path.read_bytes())
    data[HEADER_BYTES + slot * SLOT_BYTES + 36] ^= 1
    path.write_bytes(data)
    table, leftovers, ended = opened(path, NEXT_BOOT)
    assert (leftovers, ended) == ([], Ended.POWER_LOSS)
    assert len([table.claim(EVENT, 1, b"") for _ in range(4)]) == 4


def test_a_length_that_cannot_be_is_a_torn_slot(tmp_path):
    path = tmp_path / "inflight"
    table, _, _ = opened(path)
    at = HEADER_BYTES + table.claim(EVENT, 1, b"payload") * SLOT_BYTES
    data = bytearray(path.read_bytes())
    data[at + 32 : at + 34] = struct.pack("<H", PAYLOAD_BYTES_MAX + 1)
    path.write_bytes(data)
    assert opened(path)[1] == []


@pytest.mark.parametrize("at", [0, 8, 12, 16, 20, 24, 25, 28, 44])
def test_a_damaged_header_is_corrupt(tmp_path, at):
    path = tmp_path / "inflight"
    opened(path)[0].close()
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    with pytest.raises(Corrupt, match="move the file away"):
        opened(path)


def test_a_short_file_is_corrupt(tmp_path):
    path = tmp_path / "inflight"
    opened(path)[0].close()
    data = path.read_bytes()
    for size in (0, HEADER_BYTES - 1, len(data) - 1):
        path.write_bytes(data[:size])
        with pytest.raises(Corrupt):
            opened(path)


def test_the_number_of_slots_changes_once_none_is_in_use(tmp_path):
    path = tmp_path / "inflight"
    table, _, _ = opened(path, slots=2)
    table.claim(EVENT, 1, b"x")
    table, leftovers, _ = opened(path, NEXT_BOOT, slots=5)
    assert len(leftovers) == 1
    assert path.stat().st_size == HEADER_BYTES + 2 * SLOT_BYTES
    table.release(leftovers[0].slot)
    table, leftovers, ended = opened(path, NEXT_BOOT, slots=5)
    assert (leftovers, ended) == ([], Ended.POWER_LOSS)
    assert table.ended_boot_id == BOOT
    assert path.stat().st_size == HEADER_BYTES + 5 * SLOT_BYTES


def test_so_many_slots_and_no_more(tmp_path):
    with pytest.raises(ValueError, match="slots"):
        opened(tmp_path / "inflight", slots=SLOTS_MAX + 1)
    opened(tmp_path / "inflight", slots=SLOTS_MAX)[0].close()


@pytest.mark.parametrize("operation", ["create", "write", "sync", "rename", "sync_dir"])
@pytest.mark.parametrize("fault", [Fault.LOST, Fault.KEPT])
def test_a_table_that_could_not_be_made_is_made_by_the_next_start(tmp_path, operation, fault):
    files = FaultFiles()
    files.fail(operation, fault)
    with pytest.raises(OSError, match="injected"):
        InFlight.open(tmp_path / "inflight", BOOT, 4, files)
    assert opened(tmp_path / "inflight")[1:] == ([], Ended.CLEAN)


@settings(max_examples=50, deadline=None)
@given(
    calls=st.lists(
        st.tuples(
            st.binary(min_size=16, max_size=16),
            st.integers(0, 2**63),
            st.binary(max_size=PAYLOAD_BYTES_MAX),
            st.booleans(),
        ),
        max_size=20,
    )
)
def test_exactly_what_was_not_released_is_left(tmp_path_factory, calls):
    path = tmp_path_factory.mktemp("table") / "inflight"
    table, _, _ = opened(path, slots=20)
    expected = []
    for event_id, started_ms, payload, answered in calls:
        slot = table.claim(event_id, started_ms, payload)
        if answered:
            table.release(slot)
        else:
            expected.append((slot, event_id, started_ms, payload))
    leftovers = opened(path, slots=20)[1]
    found = [(one.slot, one.event_id, one.started_ms, one.payload) for one in leftovers]
    assert found == sorted(expected)
