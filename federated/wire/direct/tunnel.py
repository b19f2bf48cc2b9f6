"""TLS 1.3 between two parties of a job, as bytes in and bytes out: no socket, no thread.

Each side shows a certificate made for the job, whose bytes it has told the other in the job's
sealed channel; neither takes any other. No authority is trusted, the hub's neither: whoever runs
the hub can sign for anybody there.
"""

from __future__ import annotations

import datetime as dt
import os
import ssl
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from psi.protocol import PeerError

__all__ = ["Pass", "Tunnel", "make_pass"]

_DAYS = 400
_SLICE = 1 << 18
_RECORD = 1 << 14
"""The most that TLS opens at once: room for more is memory that is asked for, and given back."""


@dataclass(frozen=True)
class Pass:
    """What a party shows in one job: a certificate (DER), and its key in PEM, in memory only."""

    certificate: bytes
    private: bytes

    def __repr__(self) -> str:
        return "<pass of a job>"


def make_pass() -> Pass:
    """A fresh key and a certificate over it that names nobody."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fedprofile job")])
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=2))
        .not_valid_after(now + dt.timedelta(days=_DAYS))
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    signed = builder.sign(key, hashes.SHA256())
    return Pass(signed.public_bytes(serialization.Encoding.DER), private)


class Tunnel:
    """One end. `hand` and `read` take what came and raise `PeerError` on anybody else's.

    Args:
        mine: what this party shows.
        theirs: the one certificate (DER) that the other may show.
        hears: whether this end was called.
    """

    def __init__(self, mine: Pass, theirs: bytes, *, hears: bool) -> None:
        self._theirs = theirs
        self._into, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = _context(mine, theirs, hears).wrap_bio(self._into, self._out, server_side=hears)

    def __repr__(self) -> str:
        return "<tunnel>"

    def shake(self, data: bytes = b"") -> bool:
        """Go on with the handshake; whether it is done. What to send lies in `outgoing`."""
        self._into.write(data)
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError:
            raise PeerError("a direct way showed another certificate than was told") from None
        if self._tls.getpeercert(binary_form=True) != self._theirs:
            raise PeerError("a direct way showed another certificate than was told")
        return True

    def seal(self, data: bytes) -> None:
        """Encrypt; what to send lies in `outgoing`."""
        view = memoryview(data)
        for at in range(0, len(view), _SLICE):
            self._tls.write(view[at : at + _SLICE])

    def open(self, data: bytes | memoryview) -> bytes:
        """What came, decrypted; empty where nothing is whole yet. Raises `EOFError` at the end."""
        self._into.write(data)
        found = []
        try:
            while piece := self._tls.read(_RECORD):
                found.append(piece)
                if not self._into.pending and not self._tls.pending():
                    return b"".join(found)  # an error is dearer than all else here
        except ssl.SSLWantReadError:
            return b"".join(found)
        except ssl.SSLError:
            raise PeerError("a direct way was altered") from None
        raise EOFError

    @property
    def asks(self) -> bool:
        """Whether there is something to send."""
        return self._out.pending > 0

    def outgoing(self) -> bytes:
        """What is to be sent."""
        return self._out.read()


def _context(mine: Pass, theirs: bytes, hears: bool) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if hears else ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False  # no name is signed by anybody: the certificate itself is told
    context.verify_mode = ssl.CERT_REQUIRED
    if hears:
        context.num_tickets = 0
    try:
        context.load_verify_locations(cadata=theirs)
    except (ssl.SSLError, ValueError):
        raise PeerError("an offer of a direct way holds no certificate") from None
    pem = ssl.DER_cert_to_PEM_cert(mine.certificate).encode("ascii")
    file = os.memfd_create("pass", os.MFD_CLOEXEC)  # Python takes files only; this one has no disk
    try:
        os.write(file, mine.private + pem)
        context.load_cert_chain(f"/proc/self/fd/{file}")
    finally:
        os.close(file)
    return context
