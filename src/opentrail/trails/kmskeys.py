# SPDX-License-Identifier: Apache-2.0
"""Signs digests with a key in KMS: the private half is nowhere here.

Source: AWS KMS API Reference, "Sign" and "GetPublicKey". The signature is the same RSASSA-PKCS1-v1_5
with SHA-256 that a key in a file makes. Rotation is the operator's: an alias that is pointed at
another key signs with that from then on, and the public halves of all stay listed.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol, cast

import msgspec
from botocore.exceptions import ClientError as DriverError
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)

from opentrail.errors import ClientError, Unavailable
from opentrail.objects.driver import KEY_REFUSED, ClientSpec, make_client
from opentrail.objects.s3 import CALL_ERRORS, mapped
from opentrail.trails.digest_setting import DigestSetting
from opentrail.trails.keys import KEY_BITS, DigestKeys, PublicKey, Signers, public_key

ALGORITHM = "RSASSA_PKCS1_V1_5_SHA_256"
BACKDATED_S = 400 * 86_400
"""The log's retention: no window that waits for its digest is older."""
VALIDITY_S = 3650 * 86_400
"""Ten years: how long it signs is not known here."""
RAW_BYTES_MAX = 4096
"""KMS's own bound on a message; a longer one is hashed here."""

Answer = Mapping[str, object]


class KmsClient(Protocol):
    """The part of botocore's KMS client that is called."""

    def get_public_key(self, **arguments: object) -> Answer:
        """GetPublicKey."""
        ...

    def sign(self, **arguments: object) -> Answer:
        """Sign."""
        ...


class _PublicHalf(msgspec.Struct, rename="pascal"):
    key_id: str
    public_key: bytes


class _Signed(msgspec.Struct, rename="pascal"):
    signature: bytes


@dataclass(frozen=True, slots=True)
class KmsSigner:
    """A key in KMS, as it is at one moment."""

    public: PublicKey
    arn: str
    _client: KmsClient
    _half: rsa.RSAPublicKey

    def sign(self, text: bytes) -> str:
        """Return the signature of ``text``, lower-case hex, once it checks out.

        Raises: ClientError: KMS refuses. Unavailable.
        """
        # Emulators know less of MessageType DIGEST; what is signed is the same.
        is_short = len(text) <= RAW_BYTES_MAX
        answer = _call(
            self._client.sign,
            KeyId=self.arn,
            Message=text if is_short else hashlib.sha256(text).digest(),
            MessageType="RAW" if is_short else "DIGEST",
            SigningAlgorithm=ALGORITHM,
        )
        try:
            signature = msgspec.convert(answer, _Signed).signature
            self._half.verify(signature, text, padding.PKCS1v15(), hashes.SHA256())
        except (InvalidSignature, msgspec.ValidationError) as error:
            raise Unavailable(f"KMS gave no good signature of {self.arn}") from error
        return signature.hex()


class KmsKeys:
    """``DigestKeys`` with a key in KMS; those in files stay listed."""

    def __init__(self, files: DigestKeys, client: KmsClient, key_id: str) -> None:
        self._files = files
        self._client = client
        self._key_id = key_id

    def signing_key(self, end_s: int) -> KmsSigner:
        """Return the key for a digest that ends at ``end_s``, its public half published.

        Raises: ClientError: KMS refuses, or the key is of another kind. Unavailable.
        """
        signer = load_signer(self._client, self._key_id, end_s)
        self._files.publish(signer.public)
        return signer


class RenewedKms:
    """A client that is made when it is needed, and anew once its key was refused: it may be rotated.

    Safe from several threads: two that need one at once make two, and the last is kept.
    """

    def __init__(self, make: Callable[[], KmsClient]) -> None:
        self._make = make
        self._client: KmsClient | None = None

    def get_public_key(self, **arguments: object) -> Answer:
        """See ``KmsClient``. Raises: Unavailable, too: no client can be made now."""
        return self._call(self._now().get_public_key, arguments)

    def sign(self, **arguments: object) -> Answer:
        """See ``KmsClient``. Raises: Unavailable, too: no client can be made now."""
        return self._call(self._now().sign, arguments)

    def _now(self) -> KmsClient:
        client = self._client
        if client is None:
            client = self._client = self._make()
        return client

    def _call(self, operation: Callable[..., Answer], arguments: Answer) -> Answer:
        try:
            return operation(**arguments)
        except DriverError as error:
            if error.response.get("Error", {}).get("Code") in KEY_REFUSED:
                self._client = None
            raise


def signers_of(setting: DigestSetting, files: DigestKeys) -> Signers:
    """Return what signs digests: the keys in ``files``, or the setting's."""
    if not setting.kms_key_id:
        return files
    return KmsKeys(files, RenewedKms(partial(kms_client, setting)), setting.kms_key_id)


def load_signer(client: KmsClient, key_id: str, second: int) -> KmsSigner:
    """Return the key as it is now; ``second``: of its first use, if it was not used yet.

    Raises: ClientError: KMS refuses, or the key is of another kind. Unavailable.
    """
    answer = _call(client.get_public_key, KeyId=key_id)
    try:
        half = msgspec.convert(answer, _PublicHalf)
        key = load_der_public_key(half.public_key)
    except (msgspec.ValidationError, ValueError, UnsupportedAlgorithm) as error:
        raise Unavailable(f"KMS gave no public key of {key_id}") from error
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size != KEY_BITS:
        raise ClientError(
            "KMS.InvalidKeyUsageException", f"{key_id} is not an RSA key of {KEY_BITS} bits"
        )
    der = key.public_bytes(Encoding.DER, PublicFormat.PKCS1)
    start_s = max(second - BACKDATED_S, 0)
    return KmsSigner(public_key(der, start_s, second + VALIDITY_S), half.key_id, client, key)


def kms_client(setting: DigestSetting) -> KmsClient:
    """Return a client of what ``setting`` says. Raises: Unavailable: the shared files are no use."""
    spec = ClientSpec("kms", setting.region, setting.endpoint, setting.credentials_profile)
    return cast("KmsClient", make_client(spec))


def _call(operation: Callable[..., Answer], **arguments: object) -> Answer:
    try:
        return operation(**arguments)
    except CALL_ERRORS as error:
        found = mapped(error, "KMS")
    if isinstance(found, ClientError):
        raise ClientError(f"KMS.{found.code}", found.message, found.status)
    raise found
