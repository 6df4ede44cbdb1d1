"""A certificate authority of the tests' own, and server certificates from it.

They carry all that Python 3.13's default VERIFY_X509_STRICT asks for.
"""

import datetime
import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)
USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


@dataclass(frozen=True)
class Authority:
    folder: Path
    ca_file: Path
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def issue(
        self, name: str, *, host: str = "localhost", days: int = 90, expired: bool = False
    ) -> tuple[Path, Path]:
        """A certificate for `host` in `name`.pem and `name`.key; 127.0.0.1 is in it only for localhost."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = _now()
        until = now - DAY if expired else now + days * DAY
        builder = _builder(_name(host), self.certificate.subject, key, until - (days + 1) * DAY, until)
        certificate = _with_server_extensions(builder, host, self).sign(self.key, hashes.SHA256())
        return _write(self.folder, name, certificate, key)


def make_ca(folder: Path, name: str = "tests' own authority") -> Authority:
    folder.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    now = _now()
    builder = _builder(_name(name), _name(name), key, now - 400 * DAY, now + 400 * DAY)
    usage = _usage(key_cert_sign=True, crl_sign=True)
    certificate = (
        builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )
    ca_file, _ = _write(folder, "ca", certificate, key)
    return Authority(folder, ca_file, certificate, key)


def _with_server_extensions(builder, host: str, authority: Authority):
    parent = authority.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    identifier = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(parent)
    return (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(_names(host)), critical=False)
        .add_extension(identifier, critical=False)
    )


def _builder(subject, issuer, key, not_before, not_after) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder(subject_name=subject, issuer_name=issuer, public_key=key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(not_before).not_valid_after(not_after)
    own_identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return builder.add_extension(own_identifier, critical=False)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _names(host: str) -> list[x509.GeneralName]:
    if host == "localhost":
        return [x509.DNSName(host), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    try:
        return [x509.IPAddress(ipaddress.ip_address(host))]
    except ValueError:
        return [x509.DNSName(host)]


def _usage(**granted: bool) -> x509.KeyUsage:
    return x509.KeyUsage(**dict.fromkeys(USAGES, False) | granted)


def _write(folder: Path, name: str, certificate, key) -> tuple[Path, Path]:
    cert_path, key_path = folder / f"{name}.pem", folder / f"{name}.key"
    cert_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with open(key_path, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
        file.write(private)
    return cert_path, key_path


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
