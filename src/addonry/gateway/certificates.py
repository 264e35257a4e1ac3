"""A certificate for a service that was given none: an authority of its own, and a server certificate that it signs.

The authority stays, so that clients that trust it once go on doing so; the server's certificate is made anew when it nears
its end or the service gets another address.
"""

import ipaddress
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from addonry.model.errors import StoreUnavailable

AUTHORITY_LASTS: Final = timedelta(days=3650)
SERVER_LASTS: Final = timedelta(days=397)
"""Browsers and Apple's systems refuse longer ones (CA/Browser Forum Baseline Requirements, 6.3.2)."""
RENEWED_BEFORE: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Certificates:
    """Where the files are (PEM)."""

    authority: Path
    """What clients are to trust."""
    chain: Path
    key: Path


def certificates_in(directory: Path, host: str, *, now: datetime) -> Certificates:
    """A certificate for *host*, this machine's name and loopback, in *directory*. Raises StoreUnavailable.

    The keys' files can be read by their owner only.
    """
    files = Certificates(directory / "ca.pem", directory / "server.pem", directory / "server.key")
    names = sorted({host, socket.gethostname(), "localhost", "127.0.0.1", "::1"} - {"", "0.0.0.0", "::"})  # noqa: S104 - not bound here
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _is_good(files, names, now):
            _make(directory, files, names, now)
    except (OSError, ValueError) as error:
        raise StoreUnavailable(
            f"No certificate can be made in {directory}: {error}.", remedy="Give one with --tls-cert and --tls-key."
        ) from error
    return files


def _is_good(files: Certificates, names: Sequence[str], now: datetime) -> bool:
    if not (files.chain.exists() and files.key.exists() and files.authority.exists()):
        return False
    certificate = x509.load_pem_x509_certificate(files.chain.read_bytes())
    told = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    known = {*told.get_values_for_type(x509.DNSName), *map(str, told.get_values_for_type(x509.IPAddress))}
    return set(names) <= known and certificate.not_valid_after_utc - now > RENEWED_BEFORE


def _make(directory: Path, files: Certificates, names: Sequence[str], now: datetime) -> None:
    authority, authority_key = _authority(directory, files, now)
    key = ec.generate_private_key(ec.SECP256R1())
    alternatives = x509.SubjectAlternativeName([_general_name(name) for name in names])
    certificate = (
        _begin(_name("Addonry"), authority.subject, key, now, SERVER_LASTS)
        .add_extension(alternatives, critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    _write(files.key, _pem_of(key), secret=True)
    _write(files.chain, _pem(certificate) + _pem(authority))


def _authority(
    directory: Path, files: Certificates, now: datetime
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key_file = directory / "ca.key"
    if files.authority.exists() and key_file.exists():
        known = x509.load_pem_x509_certificate(files.authority.read_bytes())
        known_key = load_pem_private_key(key_file.read_bytes(), password=None)
        if isinstance(known_key, ec.EllipticCurvePrivateKey) and known.not_valid_after_utc - now > SERVER_LASTS:
            return known, known_key
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("Addonry's own authority")
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        _begin(name, name, key, now, AUTHORITY_LASTS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    _write(key_file, _pem_of(key), secret=True)
    _write(files.authority, _pem(certificate))
    return certificate, key


def _begin(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, lasts: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # Clocks differ a little.
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + lasts)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)


def _pem_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write(file: Path, content: bytes, *, secret: bool = False) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600 if secret else 0o644)
    with os.fdopen(descriptor, "wb") as out:
        out.write(content)
