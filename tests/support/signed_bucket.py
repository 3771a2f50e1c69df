# SPDX-License-Identifier: Apache-2.0
"""A bucket as CloudTrail fills it: log files and signed digests, written from its documents alone.

It shares no code with the product, so that both must agree with the format and not with each other.
"""

import base64
import datetime as dt
import gzip
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from opentrail.objects.base import Bucket, Put

ACCOUNT, REGION, TRAIL = "111122223333", "us-east-1", "audit_1"
START = 1_700_000_000 // 3600 * 3600
HOUR = 3600


def when(second: int, form: str = "%Y-%m-%dT%H:%M:%SZ") -> str:
    """Return a time as digests write it."""
    return dt.datetime.fromtimestamp(second, tz=dt.UTC).strftime(form)


@dataclass
class Signer:
    """A key that signs."""

    private: rsa.RSAPrivateKey = field(
        default_factory=lambda: rsa.generate_private_key(65537, 2048)
    )

    @property
    def der(self) -> bytes:
        form = serialization.PublicFormat.PKCS1
        return self.private.public_key().public_bytes(serialization.Encoding.DER, form)

    @property
    def fingerprint(self) -> str:
        return hashlib.md5(self.der).hexdigest()

    def sign(self, text: str) -> str:
        return self.private.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()).hex()

    def listed(self) -> bytes:
        """Return what ListPublicKeys answers."""
        key = {
            "Value": base64.b64encode(self.der).decode(),
            "Fingerprint": self.fingerprint,
            "ValidityStartTime": START - 400 * 86400,
            "ValidityEndTime": START + 400 * 86400,
        }
        return json.dumps({"PublicKeyList": [key]}).encode()


@dataclass
class SignedBucket:
    """Writes one trail's chain of an account and region into a bucket."""

    bucket: Bucket
    signer: Signer
    trail: str = TRAIL
    account: str = ACCOUNT
    region: str = REGION
    prefix: str = ""
    org: str = "AWSLogs/"
    """What stands before the account: an organization's trail has its id there."""
    previous: dict[str, Any] | None = None
    """The last digest: its key, sha256 and signature."""
    digests: list[str] = field(default_factory=list)
    """Keys, the oldest first."""
    logs: list[str] = field(default_factory=list)

    def log(self, second: int, text: bytes | None = None) -> dict[str, Any]:
        """Put a log file delivered at ``second``; return what its digest says of it."""
        data = text or json.dumps({"Records": [{"n": second, "trail": self.trail}]}).encode()
        unique = hashlib.sha256(f"{self.trail}{second}{self.region}".encode()).hexdigest()[:16]
        key = (
            f"{self._folder('CloudTrail', second)}{self.account}_CloudTrail_{self.region}_"
            f"{when(second, '%Y%m%dT%H%MZ')}_{unique}.json.gz"
        )
        self.bucket.put(key, gzip.compress(data, mtime=0), Put())
        self.logs.append(key)
        return {
            "s3Bucket": self.bucket.name,
            "s3Object": key,
            "hashValue": hashlib.sha256(data).hexdigest(),
            "hashAlgorithm": "SHA-256",
            "newestEventTime": when(second),
            "oldestEventTime": when(second),
        }

    def digest(self, start: int, end: int, files: list[dict[str, Any]] | None = None) -> str:
        """Put the next digest of the chain; return its key."""
        key = (
            f"{self._folder('CloudTrail-Digest', end)}{self.account}_CloudTrail-Digest_"
            f"{self.region}_{self.trail}_{REGION}_{when(end, '%Y%m%dT%H%M%SZ')}.json.gz"
        )
        before = self.previous or {}
        body = {
            "awsAccountId": self.account,
            "digestStartTime": when(start),
            "digestEndTime": when(end),
            "digestS3Bucket": self.bucket.name,
            "digestS3Object": key,
            "digestPublicKeyFingerprint": self.signer.fingerprint,
            "digestSignatureAlgorithm": "SHA256withRSA",
            "newestEventTime": None,
            "oldestEventTime": None,
            "previousDigestS3Bucket": self.bucket.name if before else None,
            "previousDigestS3Object": before.get("key"),
            "previousDigestHashValue": before.get("sha256"),
            "previousDigestHashAlgorithm": "SHA-256" if before else None,
            "previousDigestSignature": before.get("signature"),
            "logFiles": files or [],
        }
        self.put_digest(key, body)
        self.digests.append(key)
        return key

    def put_digest(self, key: str, body: dict[str, Any]) -> None:
        """Sign and put a digest with any content."""
        data = json.dumps(body, separators=(",", ":")).encode()
        sha256 = hashlib.sha256(data).hexdigest()
        lines = (
            body["digestEndTime"],
            f"{body['digestS3Bucket']}/{body['digestS3Object']}",
            sha256,
            body["previousDigestSignature"] or "null",
        )
        signature = self.signer.sign("\n".join(lines))
        metadata = {"signature": signature, "signature-algorithm": "SHA256withRSA"}
        self.bucket.put(key, gzip.compress(data, mtime=0), Put(metadata=metadata))
        self.previous = {"key": key, "sha256": sha256, "signature": signature}

    def chain(self, start: int, hours: int) -> None:
        """Put a starting digest that ends at ``start``, then ``hours`` with two log files each."""
        self.previous = None
        self.digest(start - HOUR, start)
        for hour in range(hours):
            begin = start + hour * HOUR
            self.digest(begin, begin + HOUR, [self.log(begin + 600), self.log(begin + 1800)])

    def _folder(self, name: str, second: int) -> str:
        return f"{self.prefix}{self.org}{self.account}/{name}/{self.region}/{when(second, '%Y/%m/%d/')}"
