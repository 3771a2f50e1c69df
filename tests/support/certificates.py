# SPDX-License-Identifier: Apache-2.0
"""A certificate authority for the tests, and what it signs, as files."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Pair:
    """A certificate and its key."""

    cert: Path
    key: Path


def _name(text: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example"),
            x509.NameAttribute(NameOID.COMMON_NAME, text),
        ]
    )


class Authority:
    """Signs certificates for 127.0.0.1 and localhost, and for clients."""

    def __init__(self, directory: Path, name: str = "a test's CA") -> None:
        self._directory = directory
        self._name = _name(name)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.file = directory / f"{name.replace(' ', '-')}.pem"
        made = self._certificate(self._name, self._key.public_key(), ca=True)
        self.file.write_bytes(made.public_bytes(serialization.Encoding.PEM))

    def _certificate(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey,
        names: Sequence[x509.GeneralName] = (),
        *,
        ca: bool,
        days: int = 1,
    ) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        names = [*names, x509.DNSName("localhost"), x509.IPAddress(IPv4Address("127.0.0.1"))]
        key_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=ca,
            crl_sign=ca,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=9))
            .not_valid_after(now + dt.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(key_id, critical=False)
            .sign(self._key, hashes.SHA256())
        )

    def sign(
        self, name: str, file: str = "", names: Sequence[x509.GeneralName] = (), *, days: int = 1
    ) -> Pair:
        """Return a new certificate for ``name`` and ``names``, in files called after ``file``.

        It is valid for ``days`` from now on, or was until so many days ago.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        made = self._certificate(_name(name), key.public_key(), names, ca=False, days=days)
        pair = Pair(
            self._directory / f"{file or name}.crt", self._directory / f"{file or name}.key"
        )
        pair.cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        pair.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return pair
