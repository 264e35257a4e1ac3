"""Certificates of simulated clusters, so that they can be reached over TLS like real ones, each by an authority of its own.

All clusters share an address, so a client says by its server name (`tls-server-name` of the kubeconfig) which cluster
it means, and is shown the certificate of that one; who says nothing is shown the first cluster's. The authority signs
for users as well, who prove by a certificate who they are. Keys live as long as the simulator; certificates are made
when they are first asked for.
"""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from addonry.simulator.messages import ClientCertificate

LIFE: Final = timedelta(days=7)
# X509_V_FLAG_NO_CHECK_TIME, which Python has no name for: https://docs.openssl.org/master/man3/X509_VERIFY_PARAM_set_flags/
_NO_CHECK_TIME: Final = ssl.VerifyFlags(0x200000)


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate and its key, as PEM."""

    certificate: bytes
    key: bytes


class Authority:
    """A certificate authority. Made in a fraction of a millisecond, so that a thousand clusters may have their own.

    The server certificates that it issues are good for *life*; with a negative one they have expired already.
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
            _builder(self._name, self._name, public_key, ends_at=datetime.now(UTC) + LIFE)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return built.public_bytes(serialization.Encoding.PEM)

    def issue(self, *names: str) -> Issued:
        """A server certificate for host names and addresses."""
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kube-apiserver")])
        extension = x509.SubjectAlternativeName([_general(name) for name in names])
        return self._issue(subject, extension, ends_at=datetime.now(UTC) + self._life)

    def certify(self, name: str, groups: Sequence[str], *, ends_at: datetime) -> Issued:
        """For a user; Kubernetes reads the name and the groups out of the subject.

        See https://kubernetes.io/docs/reference/access-authn-authz/authentication/#x509-client-certificates
        """
        subject = x509.Name(
            [
                *(x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups),
                x509.NameAttribute(NameOID.COMMON_NAME, name),
            ]
        )
        return self._issue(subject, x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), ends_at=ends_at)

    def _issue(self, subject: x509.Name, extension: x509.ExtensionType, *, ends_at: datetime) -> Issued:
        key = ec.generate_private_key(ec.SECP256R1())
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        certificate = (
            _builder(subject, self._name, key.public_key(), ends_at=ends_at)
            .add_extension(extension, critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(identifier, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        written = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return Issued(certificate.public_bytes(serialization.Encoding.PEM), written)


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

    def take_clients(self, context: ssl.SSLContext) -> None:
        """Let who names no cluster show a certificate of the first one's authority."""
        _take_clients(context, self._first)

    def _context(self, cluster: str) -> ssl.SSLContext:
        authority = self.authority(cluster)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._write(cluster, authority.issue(server_name(cluster), "localhost", self._host)))
        _take_clients(context, authority)
        return context

    def _write(self, name: str, issued: Issued) -> Path:
        # The standard library loads certificates from files only.
        file = self._directory / f"{name}.pem"
        file.touch(mode=0o600)
        file.write_bytes(issued.certificate + issued.key)
        return file


_DOMAIN: Final = ".clusters.local"


def server_name(cluster: str) -> str:
    """The name by which a client says over TLS which cluster it means."""
    return cluster + _DOMAIN


def read_certificate(encoded: bytes) -> ClientCertificate:
    """Whom a certificate, in DER, names."""
    found = x509.load_der_x509_certificate(encoded)
    names = [str(part.value) for part in found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    groups = tuple(str(part.value) for part in found.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME))
    fingerprint = found.fingerprint(hashes.SHA256()).hex()
    begins_at, ends_at = found.not_valid_before_utc, found.not_valid_after_utc
    return ClientCertificate(names[0] if names else "", groups, begins_at, ends_at, fingerprint)


def _take_clients(context: ssl.SSLContext, authority: Authority) -> None:
    """Let clients show certificates of an authority, expired ones as well: those get a 401, no broken handshake."""
    context.load_verify_locations(cadata=authority.certificate.decode())
    context.verify_mode = ssl.CERT_OPTIONAL
    context.verify_flags |= _NO_CHECK_TIME


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey, *, ends_at: datetime
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(now, ends_at) - timedelta(minutes=5))
        .not_valid_after(ends_at)
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
