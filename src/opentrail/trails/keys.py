# SPDX-License-Identifier: Apache-2.0
"""The keys that sign digests: private ones in files, public ones in state.

Source: CloudTrail API Reference, "PublicKey"; the value is the PKCS #1 DER form, and the fingerprint
its MD5, as every published CloudTrail key shows. The key's randomness is OpenSSL's own.
"""

import hashlib
import re
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from opentrail.durable import OS_FILES, Files, make_dir, read_file, replace_file
from opentrail.errors import Corrupt, Unavailable, UsageError
from opentrail.state.base import Change, State
from opentrail.state.stored import read

KEY_BITS = 2048
PUBLIC_EXPONENT = 65537
SIGNATURE_ALGORITHM = "SHA256withRSA"
"""RSASSA-PKCS1-v1_5: the same text signed again gives the same signature."""
VALIDITY_S = 30 * 86_400
"""CloudTrail's own keys are valid for some thirty days."""
OVERLAP_S = 7 * 86_400
"""The next key is made, and listed, this long before it is needed: whoever keeps public keys for
offline verification has it before the first digest that it signs."""
BACKDATED_S = 86_400
"""Windows that wait while the first key is made end before it; what waits longer gets a key of its
own time."""
PUBLIC_KEY_PREFIX = "public-key/"

_FILE_NAME = re.compile(r"digest-([0-9]{4,})-([0-9]+)-([0-9]+)\.pem")
_encode = msgspec.json.Encoder().encode


class PublicKey(msgspec.Struct, frozen=True):
    """What ListPublicKeys tells of a key. State: ``public-key/<fingerprint>``."""

    value: bytes
    """PKCS #1 RSAPublicKey, DER."""
    start_ms: int
    end_ms: int
    """The digests that it signs end in between; milliseconds since 1970 UTC."""
    fingerprint: str
    """MD5 of ``value``, lower-case hex."""


class Signer(Protocol):
    """What signs a digest."""

    @property
    def public(self) -> PublicKey:
        """Its public half, which is listed already."""
        ...

    def sign(self, text: bytes) -> str:
        """Return the signature of ``text`` (``SIGNATURE_ALGORITHM``), lower-case hex.

        Raises: ClientError. Unavailable.
        """
        ...


class Signers(Protocol):
    """What signs digests."""

    def signing_key(self, end_s: int) -> Signer:
        """Return what signs a digest that ends at ``end_s``. Raises: ClientError. Unavailable."""
        ...


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key and what is public of it."""

    number: int
    """1, 2 … in the order in which they were made."""
    public: PublicKey
    _private: rsa.RSAPrivateKey

    def sign(self, text: bytes) -> str:
        """Return the signature of ``text`` (``SIGNATURE_ALGORITHM``), lower-case hex."""
        return self._private.sign(text, padding.PKCS1v15(), hashes.SHA256()).hex()

    def __repr__(self) -> str:
        return f"SigningKey({self.number}, {self.public.fingerprint})"


class DigestKeys:
    """The keys in ``<data>/keys``. Trust: full; whoever reads them there can sign what they like.

    Safe from several threads.
    """

    def __init__(self, folder: Path, state: State, files: Files, keys: list[SigningKey]) -> None:
        self._dir = folder
        self._state = state
        self._files = files
        self._keys = keys
        self._published: set[str] = set()
        self._choosing = threading.Lock()

    @classmethod
    def open(cls, folder: Path, state: State, files: Files = OS_FILES) -> "DigestKeys":
        """Read the keys that there are; an old state learns the public ones again.

        Raises: Corrupt: a key's file does not hold one. Unavailable: no file can be read there.
        """
        try:
            make_dir(folder, files)
            keys = _read_all(folder)
        except OSError as error:
            raise Unavailable(f"{folder} cannot be used: {error.strerror}") from error
        opened = cls(folder, state, files, keys)
        for key in keys:
            opened.publish(key.public)
        return opened

    def signing_key(self, end_s: int) -> SigningKey:
        """Return the key for a digest that ends at ``end_s`` (seconds), made if there is none.

        The first made of those that are valid then: asked again, ever the same, also when the next
        one has been made meanwhile. When it is near its end, the next one is made and published.
        Raises: Unavailable: one can be neither made nor published.
        """
        with self._choosing:
            key = self.key_at(end_s)
            if key is None:
                key = self._make(end_s, end_s - BACKDATED_S)
            self.publish(key.public)
            if self.key_at(end_s + OVERLAP_S) is None:
                self.publish(self._make(end_s, end_s).public)
            return key

    def key_at(self, second: int) -> SigningKey | None:
        """Return the key that signs what ends at ``second``, if it has been made."""
        return next((key for key in self._keys if _is_valid(key.public, second)), None)

    def public_keys(self, start_ms: int, end_ms: int) -> list[PublicKey]:
        """Return the keys valid at some time in ``[start_ms, end_ms]``, the newest first.

        Raises: Unavailable.
        """
        keys = [read(entry, PublicKey) for entry in self._state.scan(PUBLIC_KEY_PREFIX)]
        found = [key for key in keys if key.start_ms <= end_ms and start_ms < key.end_ms]
        return sorted(found, key=lambda key: (-key.start_ms, key.fingerprint))

    def _make(self, end_s: int, start_s: int) -> SigningKey:
        """Make the next key, valid from ``start_s`` until VALIDITY_S behind ``end_s``.

        1. its file, durable        (a crash before: another key is made; nothing is signed yet)
        2. its public half          (``publish``; a crash before: ``open`` does it)
        3. what it signs
        """
        private = rsa.generate_private_key(PUBLIC_EXPONENT, KEY_BITS)
        start_s = max(start_s, 0)
        number = self._keys[-1].number + 1 if self._keys else 1
        key = _signing_key(number, private, start_s, end_s + VALIDITY_S)
        pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path = self._dir / f"digest-{number:04d}-{start_s}-{end_s + VALIDITY_S}.pem"
        try:
            replace_file(path, pem, self._files)
        except OSError as error:
            raise Unavailable(f"{path} cannot be written: {error.strerror}") from error
        self._keys.append(key)
        return key

    def publish(self, key: PublicKey) -> None:
        """Let state have the public half before anything is signed with the other.

        Raises: Unavailable.
        """
        if key.fingerprint in self._published:
            return
        where = PUBLIC_KEY_PREFIX + key.fingerprint
        if self._state.get(where) is None:
            self._state.commit([Change(where, _encode(key), None)])
        self._published.add(key.fingerprint)


def key_in(folder: Path, second: int) -> SigningKey:
    """Return the key that signs at ``second``, else the last one; nothing is made or changed.

    Raises: UsageError: there is none. Corrupt. Unavailable.
    """
    try:
        keys = _read_all(folder)
    except FileNotFoundError:
        keys = []
    except OSError as error:
        raise Unavailable(f"{folder} cannot be used: {error.strerror}") from error
    if not keys:
        raise UsageError(f"{folder} has no key that signs digests")
    return next((key for key in keys if _is_valid(key.public, second)), keys[-1])


def _read_all(folder: Path) -> list[SigningKey]:
    """Return the keys in the order in which they were made. Raises: Corrupt. OSError."""
    paths = [path for path in folder.iterdir() if _FILE_NAME.fullmatch(path.name)]
    return sorted(map(_read, paths), key=lambda key: key.number)


def _is_valid(key: PublicKey, second: int) -> bool:
    return key.start_ms <= second * 1000 < key.end_ms


def _signing_key(number: int, private: rsa.RSAPrivateKey, start_s: int, end_s: int) -> SigningKey:
    der = private.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
    return SigningKey(number, public_key(der, start_s, end_s), private)


def public_key(der: bytes, start_s: int, end_s: int) -> PublicKey:
    """Return what is told of a key: ``der`` is PKCS #1, the times are seconds."""
    # A name for the key, not a protection: CloudTrail's own choice.
    fingerprint = hashlib.md5(der, usedforsecurity=False).hexdigest()
    return PublicKey(der, start_s * 1000, end_s * 1000, fingerprint)


def _read(path: Path) -> SigningKey:
    """Return the key in a file. Raises: Corrupt. OSError."""
    match = _FILE_NAME.fullmatch(path.name)
    assert match is not None
    try:
        private = load_pem_private_key(read_file(path), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Corrupt("not a private key", str(path), "put the file back from a backup") from error
    if not isinstance(private, rsa.RSAPrivateKey):
        raise Corrupt("not an RSA key", str(path), "put the file back from a backup")
    number, start_s, end_s = map(int, match.groups())
    return _signing_key(number, private, start_s, end_s)
