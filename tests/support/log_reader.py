# SPDX-License-Identifier: Apache-2.0
"""A reader of the log made from docs/format.md alone: it proves that the page is enough."""

import struct
from collections.abc import Iterator
from pathlib import Path

import google_crc32c
import zstandard

ORIGINS = {1: "capture", 2: "intake", 3: "import", 4: "internal"}
MARKS = {2: "cut", 3: "control"}


def check(wanted: int, data: bytes, what: str) -> None:
    if google_crc32c.value(data) != wanted:
        raise ValueError(f"{what}: checksum")


def read_durable(path: Path) -> tuple[bytes, int, int]:
    """Return (log id, durable end, first position kept)."""
    data = path.read_bytes()
    magic, version, checksum, log_id = struct.unpack_from("<8sII16s", data)
    if magic != b"OTRLDUR\0" or version != 1:
        raise ValueError("not log/durable")
    check(checksum, data[:12] + data[16:32], "durable")
    values = []
    for offset in (32, 48):
        value, complement = struct.unpack_from("<QQ", data, offset)
        values.append(min(value, complement ^ (2**64 - 1)))
    return log_id, values[0], values[1]


def read_segment_header(data: bytes, log_id: bytes) -> tuple[int, int, bytes]:
    """Return (header length, first position, dictionary)."""
    magic, version, size, own_id, first, _, _, dictionary_size = struct.unpack_from(
        "<8sII16sQQQI", data
    )
    if magic != b"OTRLSEG\0" or version != 1 or own_id != log_id or dictionary_size != size - 64:
        raise ValueError("segment header")
    check(struct.unpack_from("<I", data, size - 4)[0], data[: size - 4], "segment header")
    return size, first, data[60 : size - 4]


def read_frames(
    data: bytes, position: int, durable: int
) -> Iterator[tuple[int, int, int, int, bytes]]:
    """Yield (position, append_ms, kind, count, payload) of the frames in ``data``."""
    at = 0
    while at < len(data) and position < durable:
        magic, checksum = struct.unpack_from("<4sI", data, at)
        version, kind, _, count, size, payload_checksum, own, append_ms = struct.unpack_from(
            "<BBHIIIQQ", data, at + 8
        )
        if magic != b"OTFR" or version != 1 or own != position:
            raise ValueError(f"frame at {position}")
        check(checksum, data[at + 8 : at + 40], f"frame header at {position}")
        payload = data[at + 40 : at + 40 + size]
        check(payload_checksum, payload, f"frame at {position}")
        yield position, append_ms, kind, count, payload
        at += 40 + size
        position += 40 + size


def read_log(log_dir: Path) -> Iterator[tuple[int, int, str, bytes]]:
    """Yield (position, append_ms, origin or kind of mark, JSON) of all that is acknowledged."""
    log_id, durable, kept = read_durable(log_dir / "durable")
    for path in sorted(log_dir.glob("*.seg")):
        data = path.read_bytes()
        header_size, first, dictionary = read_segment_header(data, log_id)
        if first < kept:
            continue
        if first != int(path.stem):
            raise ValueError(f"{path} is of another place")
        trained = zstandard.ZstdCompressionDict(dictionary) if dictionary else None
        unpack = zstandard.ZstdDecompressor(dict_data=trained).decompress
        frames = read_frames(data[header_size:], first, durable)
        for start, append_ms, kind, count, payload in frames:
            if kind in MARKS:
                yield start, append_ms, MARKS[kind], payload
            at = 0
            for _ in range(count if kind == 1 else 0):
                size, back, origin, _, checksum = struct.unpack_from("<IIBBI", payload, at)
                check(checksum, payload[at : at + 10], f"record at {start + back}")
                if back != at + 40:
                    raise ValueError(f"record at {start + back}")
                yield start + back, append_ms, ORIGINS[origin], unpack(payload[at + 14 :][:size])
                at += 14 + size
