# SPDX-License-Identifier: Apache-2.0
"""What is said of each file, and by which keys.

The words are those of the AWS CLI's ``validate-logs`` where it has some.
"""

import base64
import binascii
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
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
    """"Digest file", "Backfill digest file", "Log file", "Period", "Note"."""
    subject: str
    """``s3://bucket/key``, or a span of time."""
    verdict: Verdict
    """A note's is VALID: it is no reason for doubt."""
    reason: str = ""


NOTE = "Note"
"""The kind of a finding that is only told."""


def overall(findings: Iterable[Finding]) -> Verdict:
    """Return the verdict over all: one INVALID makes it so, else one UNKNOWN; none at all, too."""
    counts = [0, 0, 0]
    for finding in findings:
        if finding.kind != NOTE:
            counts[finding.verdict] += 1
    if counts[Verdict.INVALID]:
        return Verdict.INVALID
    if counts[Verdict.UNKNOWN] or not counts[Verdict.VALID]:
        return Verdict.UNKNOWN
    return Verdict.VALID


class _PublicKey(msgspec.Struct, rename="pascal"):
    value: str


class _PublicKeys(msgspec.Struct, rename="pascal"):
    public_key_list: list[_PublicKey]


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The public keys that digests may be signed with."""

    keys: Mapping[str, bytes]
    """Fingerprint -> PKCS #1 RSAPublicKey, DER."""
    complete: bool
    """There are no others: a digest of another key is forged."""

    @classmethod
    def of(cls, values: Iterable[bytes], *, complete: bool) -> "KeyRing":
        """Return a ring of DER values; each gets the fingerprint that it has, whatever is said."""
        return cls({_fingerprint(value): value for value in values}, complete)

    def verify(self, fingerprint: str, text: bytes, signature: str) -> tuple[Verdict, str]:
        """Return whether ``signature`` (hex) is that key's under ``text``, and why not."""
        der = self.keys.get(fingerprint)
        if der is None:
            verdict = Verdict.INVALID if self.complete else Verdict.UNKNOWN
            return verdict, f"public key not found for fingerprint {fingerprint}"
        key = _load(der)
        if key is None:
            return Verdict.UNKNOWN, f"Unable to load PKCS #1 key with fingerprint {fingerprint}"
        try:
            key.verify(bytes.fromhex(signature), text, padding.PKCS1v15(), hashes.SHA256())
        except (InvalidSignature, ValueError):
            return Verdict.INVALID, "signature verification failed"
        return Verdict.VALID, ""


def read_key_ring(text: bytes, name: str) -> KeyRing:
    """Return the ring of what ``aws cloudtrail list-public-keys`` printed.

    Raises: UsageError: the file ``name`` does not hold that.
    """
    try:
        listed = msgspec.json.decode(text, type=_PublicKeys).public_key_list
        values = [base64.b64decode(key.value, validate=True) for key in listed]
    except (msgspec.DecodeError, binascii.Error, UnicodeDecodeError) as error:
        raise UsageError(
            f"{name} is not what aws cloudtrail list-public-keys prints: {error}"
        ) from error
    return KeyRing.of(values, complete=False)


def _fingerprint(der: bytes) -> str:
    """Return CloudTrail's name for a key: a name, not a protection."""
    return hashlib.md5(der, usedforsecurity=False).hexdigest()


def _load(der: bytes) -> rsa.RSAPublicKey | None:
    try:
        key = load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, rsa.RSAPublicKey) else None
