"""Certificates of simulated clusters, so that they can be reached over TLS like real ones, each by an authority of its own.

All clusters share an address, so a client says by its server name (`tls-server-name` of the kubeconfig) which cluster
it means, and is shown the certificate of that one; who says nothing is shown the first cluster's. Keys live as long as
the simulator; certificates are made when they are first asked for.
"""

from __future__ import annotations

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

LIFE: Final = timedelta(days=7)


class Authority:
    """A certificate authority. Made in a fraction of a millisecond, so that a thousand clusters may have their own.

    The certificates that it issues are good for *life*; with a negative one they have expired already.
    """

    def __init__(self, name: str, *, life: timedelta = LIFE) -> None:
        self._life = life
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])

    @cached_property
    def certificate(self) -> bytes:
        """What clients are to trust, as PEM."""
        public_key = self._key.public_key()
        built = (
            _builder(self._name, self._name, public_key, LIFE)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return built.public_bytes(serialization.Encoding.PEM)

    def issue(self, *names: str) -> bytes:
        """A server certificate for host names and addresses, with its key, as PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        own_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kube-apiserver")])
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        certificate = (
            _builder(own_name, self._name, key.public_key(), self._life)
            .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(identifier, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return certificate.public_bytes(serialization.Encoding.PEM) + secret


class Certificates:
    """The authorities of the clusters of one simulator, and which certificate a connection is shown."""

    def __init__(self, directory: Path, host: str, *, life: timedelta = LIFE) -> None:
        self._directory, self._host, self._life = directory, host, life
        self._authorities: dict[str, Authority] = {}
        self._first = Authority("simulated cluster", life=life)
        self._contexts: dict[str, ssl.SSLContext] = {}
        self.file = self._write("server", self._first.issue("localhost", host))
        """Certificate and key that are shown to who names no cluster."""

    def authority(self, cluster: str) -> Authority:
        """The authority of a cluster."""
        if cluster not in self._authorities:
            more = bool(self._authorities)
            self._authorities[cluster] = Authority(f"simulated {cluster}", life=self._life) if more else self._first
        return self._authorities[cluster]

    def choose(self, connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext) -> None:
        """Show the certificate of the cluster that the client named; the `sni_callback` of a server's context."""
        cluster = (name or "").removesuffix(_DOMAIN)
        if cluster in self._authorities:
            if cluster not in self._contexts:
                self._contexts[cluster] = self._context(cluster)
            connection.context = self._contexts[cluster]

    def _context(self, cluster: str) -> ssl.SSLContext:
        issued = self.authority(cluster).issue(server_name(cluster), "localhost", self._host)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._write(cluster, issued))
        return context

    def _write(self, name: str, issued: bytes) -> Path:
        # The standard library loads certificates from files only.
        file = self._directory / f"{name}.pem"
        file.touch(mode=0o600)
        file.write_bytes(issued)
        return file


_DOMAIN: Final = ".clusters.local"


def server_name(cluster: str) -> str:
    """The name by which a client says over TLS which cluster it means."""
    return cluster + _DOMAIN


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey, life: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + min(life, timedelta(0)) - timedelta(minutes=5))
        .not_valid_after(now + life)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
