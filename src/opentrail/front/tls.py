# SPDX-License-Identifier: Apache-2.0
"""TLS of the listener: the certificate from files, read anew when they change.

TLS 1.2 is the oldest that AWS's own endpoints take.
"""

import asyncio
import datetime as dt
import os
import ssl
from pathlib import Path
from typing import cast

from cryptography import x509

from opentrail.capture.call import Tls
from opentrail.config import Listen
from opentrail.errors import UsageError

NAME_CHARS_MAX = 1024
"""Longest name of a client certificate: longer ones are of no use in a table of names."""
NAMES_MAX = 64
"""Names of a client certificate that are looked at: those of people and programs have a few."""


_KINDS: dict[type[x509.GeneralName], str] = {
    x509.DNSName: "DNS",
    x509.UniformResourceIdentifier: "URI",
    x509.RFC822Name: "email",
}
"""Alternative names that may stand for a caller."""


class Certificate:
    """The files of a listener's certificate, and whether they have changed."""

    def __init__(self, listen: Listen) -> None:
        """Read them. Raises: UsageError."""
        self._listen = listen
        self._files = [
            Path(file) for file in (listen.tls_cert, listen.tls_key, listen.tls_client_ca) if file
        ]
        self._seen: list[tuple[int, int, int]] = []
        self.context = self.read()

    def read(self) -> ssl.SSLContext:
        """Return a context made of what the files say now. Raises: UsageError."""
        listen = self._listen
        self._seen = self._look()
        for name in ("tls_cert", "tls_key", "tls_client_ca"):
            _refuse_unreadable(f"listen.{name}", getattr(listen, name))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        try:
            context.load_cert_chain(listen.tls_cert, listen.tls_key, password=_no_password)
            if listen.tls_client_ca:
                context.load_verify_locations(listen.tls_client_ca)
                context.verify_mode = ssl.CERT_OPTIONAL
        except OSError as error:  # ssl.SSLError is one
            reason = getattr(error, "reason", "") or error.strerror or str(error)
            raise UsageError(
                f"listen.tls_cert, tls_key or tls_client_ca cannot be used: {reason}"
            ) from error
        return context

    def changed(self) -> bool:
        """Whether the files are others than those that were read last."""
        return self._look() != self._seen

    def not_valid(self, now_ms: int) -> str:
        """Return what to tell of a certificate that clients refuse at ``now_ms``; "": of none.

        It is taken all the same: what is wrong may be this machine's clock.
        """
        file = Path(self._listen.tls_cert)
        try:
            # A pipe was read already.
            first = x509.load_pem_x509_certificates(file.read_bytes() if file.is_file() else b"")[0]
        except (OSError, ValueError):  # OpenSSL took it all the same
            return ""
        begins, ends = first.not_valid_before_utc, first.not_valid_after_utc
        if begins <= dt.datetime.fromtimestamp(now_ms / 1000, dt.UTC) <= ends:
            return ""
        return f"clients refuse the certificate in listen.tls_cert, valid from {begins} to {ends}"

    def _look(self) -> list[tuple[int, int, int]]:
        found = []
        for file in self._files:
            try:
                stat = file.stat()
            except OSError:
                found.append((0, 0, 0))
            else:
                found.append((stat.st_mtime_ns, stat.st_ino, stat.st_size))
        return found


def _refuse_unreadable(setting: str, file: str) -> None:
    """Say which file it is, as OpenSSL does not. Raises: UsageError."""
    if file and not os.access(file, os.R_OK):
        why = "cannot be read by this user" if Path(file).exists() else "is not there"
        raise UsageError(f"{setting}: {file} {why}")


def _no_password() -> str:
    """Answer for a key that is encrypted: OpenSSL would ask on the terminal."""
    return ""


def tls_of(transport: asyncio.BaseTransport) -> Tls | None:
    """Return what is known of a connection's TLS; None when it has none."""
    found = transport.get_extra_info("ssl_object")
    if found is None:
        return None
    connection = cast(ssl.SSLObject, found)
    cipher = connection.cipher()
    data = connection.getpeercert(binary_form=True)
    return Tls(connection.version() or "", cipher[0] if cipher else "", _names(data))


def _names(certificate: bytes | None) -> tuple[str, ...]:
    """Return the names in a client's certificate, which was checked; see ``Tls.client_names``."""
    if not certificate:
        return ()
    read = x509.load_der_x509_certificate(certificate)
    names = [read.subject.rfc4514_string()]
    try:
        alternative = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names += [
            f"{_KINDS[type(name)]}:{name.value}" for name in alternative if type(name) in _KINDS
        ]
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        pass  # it has none, or none that can be read: the subject is its name
    return tuple(name for name in names[:NAMES_MAX] if name and len(name) <= NAME_CHARS_MAX)
