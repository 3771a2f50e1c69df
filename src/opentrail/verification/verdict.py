# SPDX-License-Identifier: Apache-2.0
"""What is said of each file, and by which keys.

The words are those of the AWS CLI's ``validate-logs`` where it has some.
"""

import base64
import binascii
import datetime as dt
import functools
import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from opentrail.errors import UsageError


class Verdict(IntEnum):
    """What is known of a file; the number is the exit code that it leads to."""

    VALID = 0
    INVALID = 1
    UNKNOWN = 2
    """It cannot be told."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the result."""

    kind: str
    """"Digest file", "Backfill digest file", "Log file", "Logged file", "Period", "Place", "Receipt",
    "Covered", "Note"."""
    subject: str
    """``s3://bucket/key``, a span of time, or an account and region."""
    verdict: Verdict
    """A note's is VALID: it is no reason for doubt."""
    reason: str = ""


NOTE = "Note"
"""The kind of a finding that is only told."""
RECEIPT = "Receipt"
"""The kind of a finding about the receipt itself."""
COVERED = "Covered"
"""The kind of a finding that says which time a chain's valid digests cover; its reason: which chain."""


@dataclass(slots=True)
class Tally:
    """Counts what was found."""

    counts: Counter[tuple[str, Verdict]] = field(default_factory=Counter)
    """By kind and verdict, without what is only told."""

    def add(self, finding: Finding) -> None:
        """Count a finding."""
        if finding.kind not in (NOTE, COVERED):
            self.counts[finding.kind, finding.verdict] += 1

    @property
    def verdict(self) -> Verdict:
        """The verdict over all: one INVALID makes it so, else one UNKNOWN; none at all, too.

        A receipt alone is none: it is good, and nothing was there of what it could be held beside.
        """
        there = {verdict for _, verdict in self.counts}
        if Verdict.INVALID in there:
            return Verdict.INVALID
        seen = any(kind != RECEIPT for kind, _ in self.counts)
        return Verdict.VALID if seen and there == {Verdict.VALID} else Verdict.UNKNOWN


class _PublicKey(msgspec.Struct, rename="pascal"):
    value: str
    validity_start_time: float | str | None = None
    validity_end_time: float | str | None = None


class _PublicKeys(msgspec.Struct, rename="pascal"):
    public_key_list: list[_PublicKey]


TIME_MAX = 1 << 40
"""Seconds since 1970 UTC: later than anything was signed."""
SIGNED_LATE_S = 2 * 3600
"""A digest is signed up to this long after its window: what ``validate-logs`` asks keys for."""


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A public key, and when it was in use."""

    der: bytes
    """PKCS #1 RSAPublicKey."""
    start_s: int = 0
    end_s: int = TIME_MAX
    """Seconds since 1970 UTC; both as wide as can be when nobody says."""

    @property
    def fingerprint(self) -> str:
        """CloudTrail's name for the key: a name, not a protection."""
        return hashlib.md5(self.der, usedforsecurity=False).hexdigest()


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The public keys that digests may be signed with."""

    keys: Mapping[str, KnownKey]
    """By fingerprint."""
    complete: bool
    """There are no others: a digest of another key is forged."""

    @classmethod
    def of(cls, keys: Iterable[KnownKey], *, complete: bool) -> "KeyRing":
        """Return a ring; each key gets the fingerprint that it has, whatever is said."""
        return cls({key.fingerprint: key for key in keys}, complete)

    def verify(
        self, fingerprint: str, text: bytes, signature: str, signed_s: tuple[int, int]
    ) -> tuple[Verdict, str]:
        """Return whether ``signature`` (hex) is that key's under ``text``, and why not.

        ``signed_s``: between which two moments it was made; the key must have been valid then.
        """
        known = self.keys.get(fingerprint)
        if known is None:
            verdict = Verdict.INVALID if self.complete else Verdict.UNKNOWN
            return verdict, f"public key not found for fingerprint {fingerprint}"
        key = _load(known.der)
        if key is None:
            return Verdict.UNKNOWN, f"Unable to load PKCS #1 key with fingerprint {fingerprint}"
        try:
            # bytes.fromhex passes over blanks, which nobody else does.
            key.verify(binascii.unhexlify(signature), text, padding.PKCS1v15(), hashes.SHA256())
        except (InvalidSignature, ValueError):
            return Verdict.INVALID, "signature verification failed"
        if known.start_s > signed_s[1] or known.end_s < signed_s[0]:
            return Verdict.INVALID, f"its key was not valid then: fingerprint {fingerprint}"
        return Verdict.VALID, ""


def read_key_ring(text: bytes, name: str) -> KeyRing:
    """Return the ring of what ``aws cloudtrail list-public-keys`` printed.

    Raises: UsageError: the file ``name`` does not hold that.
    """
    try:
        listed = msgspec.json.decode(text, type=_PublicKeys).public_key_list
        keys = [
            KnownKey(
                base64.b64decode(key.value, validate=True),
                _seconds(key.validity_start_time, 0),
                _seconds(key.validity_end_time, TIME_MAX),
            )
            for key in listed
        ]
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError, OverflowError) as error:
        raise UsageError(
            f"{name} is not what aws cloudtrail list-public-keys prints: {error}"
        ) from error
    return KeyRing.of(keys, complete=False)


def _seconds(when: float | str | None, otherwise: int) -> int:
    """Return seconds of a time as versions of the AWS CLI print it: a number, or ISO 8601."""
    if when is None:
        return otherwise
    if isinstance(when, str):
        parsed = dt.datetime.fromisoformat(when)
        when = (parsed if parsed.tzinfo else parsed.replace(tzinfo=dt.UTC)).timestamp()
    return min(int(when), TIME_MAX)


@functools.lru_cache(maxsize=64)
def _load(der: bytes) -> rsa.RSAPublicKey | None:
    try:
        key = load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, rsa.RSAPublicKey) else None
