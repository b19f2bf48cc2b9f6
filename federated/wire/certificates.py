"""The hub's small certificate authority. It secures the channel to the hub and nothing else:
who a party is to other parties is pinned between them (`federated.keys.party_keys`)."""

from __future__ import annotations

import datetime as dt
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from psi.protocol import InputError, PeerError

__all__ = [
    "Authority",
    "certificate_key",
    "hosts_of",
    "make_key",
    "public_bytes",
    "read_certificate",
    "read_key",
    "request_certificate",
    "write_key",
]

AUTHORITY_DAYS = 5 * 365
CERTIFICATE_DAYS = 397
_SKEW = dt.timedelta(minutes=10)


def make_key() -> ec.EllipticCurvePrivateKey:
    """A fresh P-384 key: the curve that Flower's node authentication takes."""
    return ec.generate_private_key(ec.SECP384R1())


def write_key(key: ec.EllipticCurvePrivateKey, passphrase: bytes | None) -> bytes:
    """PKCS #8 in PEM, encrypted if there is a passphrase."""
    how: serialization.KeySerializationEncryption = (
        serialization.BestAvailableEncryption(passphrase)
        if passphrase
        else serialization.NoEncryption()
    )
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how)


def read_key(path: Path, passphrase: bytes | None) -> ec.EllipticCurvePrivateKey:
    """The key in a PEM file; raises `InputError` on a wrong passphrase."""
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), passphrase)
    except OSError as error:
        raise InputError(f"{path.name}: {error.strerror}") from None
    except (ValueError, TypeError):
        raise InputError(
            f"{path} does not open", hint="is this the passphrase it was made with?"
        ) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise InputError(f"{path.name}: an elliptic curve key is needed")
    return key


def public_bytes(key: ec.EllipticCurvePublicKey) -> bytes:
    """The public key as DER: what certificates and registrations are compared by."""
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def read_certificate(data: bytes) -> x509.Certificate:
    """A certificate from PEM or DER."""
    try:
        if data.lstrip().startswith(b"-----"):
            return x509.load_pem_x509_certificate(data)
        return x509.load_der_x509_certificate(data)
    except ValueError:
        raise InputError("not a certificate") from None


def certificate_key(data: bytes) -> bytes:
    """The public key (DER) of a certificate in PEM or DER."""
    key = read_certificate(data).public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise InputError("a certificate with an elliptic curve key is needed")
    return public_bytes(key)


def hosts_of(certificate: x509.Certificate) -> list[str]:
    """The names and addresses that a server certificate is for, as `Authority.server` takes."""
    named = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [str(name.value) for name in named]


def request_certificate(key: ec.EllipticCurvePrivateKey, name: str) -> bytes:
    """A signing request in PEM: proves that whoever asks holds the key."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    return builder.sign(key, hashes.SHA384()).public_bytes(serialization.Encoding.PEM)


class Authority:
    """A certificate and the key that signs others."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        self._key, self.certificate = key, certificate

    def __repr__(self) -> str:
        return "<certificate authority>"

    @classmethod
    def create(cls, name: str) -> Authority:
        """A new authority that may sign end certificates only."""
        return cls._made(make_key(), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))

    def renewed(self) -> Authority:
        """The same authority for longer: whoever knows it by its earlier certificate knows it."""
        return self._made(self._key, self.certificate.subject)

    @classmethod
    def _made(cls, key: ec.EllipticCurvePrivateKey, subject: x509.Name) -> Authority:
        builder = _builder(subject, subject, key.public_key(), AUTHORITY_DAYS)
        builder = builder.add_extension(x509.BasicConstraints(True, 0), critical=True)
        builder = builder.add_extension(_usage(sign=True), critical=True)
        identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        builder = builder.add_extension(identifier, critical=False)
        return cls(key, builder.sign(key, hashes.SHA384()))

    @classmethod
    def load(cls, key: Path, certificate: Path) -> Authority:
        """From files."""
        return cls(read_key(key, None), read_certificate(certificate.read_bytes()))

    def key_bytes(self) -> bytes:
        """The signing key in PEM: for a file of mode 0600."""
        return write_key(self._key, None)

    def pem(self) -> bytes:
        """The authority's certificate."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def server(self, key: ec.EllipticCurvePublicKey, hosts: list[str]) -> bytes:
        """A server certificate in PEM for these host names and addresses."""
        builder = self._end(key, hosts[0], ExtendedKeyUsageOID.SERVER_AUTH)
        names = x509.SubjectAlternativeName([_general(host) for host in hosts])
        builder = builder.add_extension(names, critical=False)
        return self._signed(builder)

    def node(self, request: bytes, name: str) -> bytes:
        """A client certificate in PEM for whoever holds the request's key."""
        try:
            asked = x509.load_pem_x509_csr(request)
            key = asked.public_key()
        except ValueError:
            raise PeerError("malformed certificate request") from None
        if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp384r1":
            raise PeerError("a node's key is on P-384")
        if not asked.is_signature_valid:
            raise PeerError("the certificate request is not signed by its key")
        return self._signed(self._end(key, name, ExtendedKeyUsageOID.CLIENT_AUTH))

    def _end(
        self, key: ec.EllipticCurvePublicKey, name: str, use: x509.ObjectIdentifier
    ) -> x509.CertificateBuilder:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = _builder(subject, self.certificate.subject, key, CERTIFICATE_DAYS)
        builder = builder.add_extension(x509.BasicConstraints(False, None), critical=True)
        builder = builder.add_extension(_usage(sign=False), critical=True)
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = builder.add_extension(authority, critical=False)
        return builder.add_extension(x509.ExtendedKeyUsage([use]), critical=False)

    def _signed(self, builder: x509.CertificateBuilder) -> bytes:
        certificate = builder.sign(self._key, hashes.SHA384())
        return certificate.public_bytes(serialization.Encoding.PEM)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + dt.timedelta(days=days))
    )


def _usage(*, sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign,
        crl_sign=sign,
        encipher_only=False,
        decipher_only=False,
    )


def _general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
