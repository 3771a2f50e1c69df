# SPDX-License-Identifier: Apache-2.0
"""What a server's data directory has of a trail whose bucket is a ``SignedBucket``."""

from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from support.signed_bucket import ACCOUNT, HOUR, REGION, START, TRAIL, SignedBucket

from opentrail.state.base import Change
from opentrail.state.sqlite import SqliteState
from opentrail.trails.keys import PublicKey
from opentrail.trails.progress import Chain, head_key
from opentrail.trails.registry import APPLIED_KEY, Applied
from opentrail.trails.trail import DeliveredFile, Trail, delivered_key, trail_key

IT = Trail(
    id="0f2b3e81-0000-4000-8000-000000000001",
    name=TRAIL,
    account=ACCOUNT,
    home_region=REGION,
    bucket="logs",
    log_file_validation=True,
)
LOG_ID = "0f2b3e81-0000-4000-8000-00000000000f"
FROM_MS, TO_MS = (START - 400 * 86_400) * 1000, (START + 30 * 86_400) * 1000
_encode = msgspec.json.encode


def write_state(data: Path, trail: SignedBucket) -> SqliteState:
    """Write the state of a server that filled ``trail``, and its private key."""
    state = SqliteState.open(data / "state.db")
    key = PublicKey(trail.signer.der, FROM_MS, TO_MS, trail.signer.fingerprint)
    assert trail.previous is not None
    head = Chain(
        1, "logs", **trail.previous, end_s=START + 2 * HOUR, digests=3, log_files=4, records=4
    )
    scope = (trail.account, trail.region)
    values = {
        trail_key(IT): _encode(IT),
        f"public-key/{key.fingerprint}": _encode(key),
        head_key(IT, scope, 1): _encode(head),
        APPLIED_KEY: _encode(Applied(LOG_ID)),
    }
    state.commit([Change(where, value, None) for where, value in values.items()])
    pem = trail.signer.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (data / "keys").mkdir()
    (data / "keys" / f"digest-0001-{FROM_MS // 1000}-{TO_MS // 1000}.pem").write_bytes(pem)
    return state


def deliver(state: SqliteState, file: dict[str, str], second: int) -> None:
    """Let state have a log file that was delivered at ``second`` and waits for its digest."""
    delivered = DeliveredFile(
        bucket=file["s3Bucket"],
        key=file["s3Object"],
        sha256=file["hashValue"],
        oldest_ms=second * 1000,
        newest_ms=second * 1000,
        records=1,
        cut_ms=second * 1000,
        account=ACCOUNT,
        region=REGION,
        folder="CloudTrail",
    )
    where = delivered_key(IT.id, ACCOUNT, REGION, second, 0)
    state.commit([Change(where, _encode(delivered), None)])
