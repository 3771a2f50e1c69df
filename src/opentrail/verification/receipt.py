# SPDX-License-Identifier: Apache-2.0
"""A signed receipt: which digests are the newest of a trail, to be kept outside of its bucket.

Whoever has one can say later that the bucket still holds at least what it held then, with public
keys and nothing else. The form is that of ``docs/verification.md``; openssl can check it.
"""

import re
from collections.abc import Iterable, Iterator

import msgspec

from opentrail.clock import iso_seconds
from opentrail.errors import UsageError
from opentrail.state.base import Entry
from opentrail.state.stored import read
from opentrail.trails.keys import SIGNATURE_ALGORITHM, Signer
from opentrail.trails.progress import Chain
from opentrail.verification.bucketkeys import TO_SECOND, seconds_of
from opentrail.verification.link import Link
from opentrail.verification.verdict import TIME_MAX, KeyRing, Verdict

VERSION = 1
_ARN = re.compile(r"arn:[a-z-]+:cloudtrail:[a-z0-9-]+:[0-9]{12}:trail/[^/:]+")


class Head(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The newest digest of one chain."""

    account: str
    region: str
    chain: int
    """Position in the log of the control that began it."""
    digest_s3_bucket: str
    digest_s3_object: str
    digest_end_time: str
    digest_hash_value: str
    """SHA-256 of the uncompressed digest, hex."""
    digest_signature: str
    digests: int
    """How many the chain has, how many log files they list, with how many records."""
    log_files: int
    records: int


class Payload(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """What is signed, as JSON."""

    version: int
    log_id: str
    trail_arn: str = msgspec.field(name="trailARN")
    made_time: str
    heads: tuple[Head, ...]


class Receipt(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The file."""

    payload: str
    """The JSON of a ``Payload``, as text: exactly these bytes (UTF-8) are signed."""
    signature: str
    """Hex."""
    signature_algorithm: str
    public_key_fingerprint: str


def heads_of(prefix: str, entries: Iterable[Entry]) -> Iterator[Head]:
    """Yield the heads that state has below ``prefix`` (``progress.head_prefix``). Raises: Corrupt."""
    for entry in entries:
        account, region, _ = entry.key.removeprefix(prefix).split("/")
        chain = read(entry, Chain)
        yield Head(
            account=account,
            region=region,
            chain=chain.chain,
            digest_s3_bucket=chain.bucket,
            digest_s3_object=chain.key,
            digest_end_time=iso_seconds(chain.end_s * 1000),
            digest_hash_value=chain.sha256,
            digest_signature=chain.signature,
            digests=chain.digests,
            log_files=chain.log_files,
            records=chain.records,
        )


def sign(payload: Payload, key: Signer) -> Receipt:
    """Return the receipt of ``payload``. Raises: ClientError. Unavailable: the key is no use."""
    text = msgspec.json.encode(payload)
    return Receipt(
        payload=text.decode(),
        signature=key.sign(text),
        signature_algorithm=SIGNATURE_ALGORITHM,
        public_key_fingerprint=key.public.fingerprint,
    )


def read_receipt(data: bytes, name: str) -> tuple[Receipt, Payload]:
    """Return what a file holds; its signature is not yet checked. Raises: UsageError."""
    try:
        receipt = msgspec.json.decode(data, type=Receipt)
        payload = msgspec.json.decode(receipt.payload, type=Payload)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise UsageError(f"{name} is no receipt: {error}") from error
    if payload.version != VERSION or made_s(payload) < 0 or not _ARN.fullmatch(payload.trail_arn):
        raise UsageError(f"{name} is no receipt of a form that is known here (version {VERSION})")
    return receipt, payload


def judge(receipt: Receipt, ring: KeyRing) -> tuple[Verdict, str]:
    """Return whether a receipt's signature is that of a known key.

    Not when the key was valid: a trail that ended long ago has none that still is.
    """
    if receipt.signature_algorithm != SIGNATURE_ALGORITHM:
        return Verdict.INVALID, f"signature algorithm is not {SIGNATURE_ALGORITHM}"
    text = receipt.payload.encode()
    return ring.verify(receipt.public_key_fingerprint, text, receipt.signature, (0, TIME_MAX))


def links(heads: Iterable[Head], bucket: str, said_by: str) -> list[Link]:
    """Return what the digests of ``heads`` in ``bucket`` must be; "": in any."""
    return [
        Link(
            head.digest_s3_object,
            head.digest_hash_value,
            head.digest_signature,
            said_by,
            head.digest_s3_bucket,
        )
        for head in heads
        if bucket in ("", head.digest_s3_bucket)
    ]


def trail_of(payload: Payload) -> tuple[str, str]:
    """Return the name and the home region of a receipt's trail."""
    region, *_, name = payload.trail_arn.split(":")[3:]
    return name.rpartition("/")[2], region


def made_s(payload: Payload) -> int:
    """Return when a receipt was made, seconds since 1970 UTC; -1: it does not say."""
    return seconds_of(payload.made_time, TO_SECOND)
