"""A certificate made on the spot: for whom it is good, when it is made anew, who may read its key."""

import ssl
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from addonry.gateway.certificates import RENEWED_BEFORE, SERVER_LASTS, certificates_in
from addonry.model.errors import StoreUnavailable

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def names_in(files):
    certificate = x509.load_pem_x509_certificate(files.chain.read_bytes())
    told = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {*told.get_values_for_type(x509.DNSName), *map(str, told.get_values_for_type(x509.IPAddress))}


def test_it_is_good_for_the_address_and_for_loopback(tmp_path):
    files = certificates_in(tmp_path / "tls", "addonry.example.com", now=NOW)
    assert {"addonry.example.com", "localhost", "127.0.0.1", "::1"} <= names_in(files)
    ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(files.chain, files.key)
    authority = x509.load_pem_x509_certificate(files.authority.read_bytes())
    x509.load_pem_x509_certificate(files.chain.read_bytes()).verify_directly_issued_by(authority)
    assert {each.name for each in (tmp_path / "tls").iterdir() if each.stat().st_mode & 0o077 == 0} == {
        "ca.key",
        "server.key",
    }


def test_it_stays_as_long_as_it_is_good_and_the_authority_longer(tmp_path):
    first = certificates_in(tmp_path, "127.0.0.1", now=NOW)
    authority, chain = first.authority.read_bytes(), first.chain.read_bytes()
    certificates_in(tmp_path, "127.0.0.1", now=NOW + timedelta(days=1))
    assert first.chain.read_bytes() == chain
    certificates_in(tmp_path, "other.example.com", now=NOW + timedelta(days=2))
    assert "other.example.com" in names_in(first)
    renewed = first.chain.read_bytes()
    certificates_in(tmp_path, "other.example.com", now=NOW + SERVER_LASTS - RENEWED_BEFORE + timedelta(days=3))
    assert first.chain.read_bytes() != renewed
    assert first.authority.read_bytes() == authority


@pytest.mark.parametrize("name", ["server.pem", "ca.pem", "ca.key"])
def test_a_damaged_file_is_told(tmp_path, name):
    certificates_in(tmp_path, "127.0.0.1", now=NOW)
    (tmp_path / name).write_text("rubbish")
    with pytest.raises(StoreUnavailable, match="No certificate can be made"):
        certificates_in(tmp_path, "another.example.com", now=NOW)


def test_a_directory_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable) as refused:
        certificates_in(tmp_path / "file" / "tls", "127.0.0.1", now=NOW)
    assert "--tls-cert" in refused.value.remedy
