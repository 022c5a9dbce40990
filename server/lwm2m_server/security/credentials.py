"""What a device proves itself with, in each security mode of LwM2M; secrets are in no ``repr``.

Public parts and secrets are apart: the one as a readable document, the other as bytes to be sealed.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, ClassVar, Final, Literal, TypeAlias

import attrs
import orjson
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from lwm2m_engine.errors import LwM2MError

Side: TypeAlias = Literal["management", "bootstrap"]
SIDES: Final[tuple[Side, ...]] = ("management", "bootstrap")
"""Which server the credentials are for."""

MAX_IDENTITY: Final = 128
"""Bytes of a PSK identity (RFC 4279, 5.3)."""
MAX_KEY: Final = 64
"""Bytes of a pre-shared key (RFC 4279, 5.3)."""
MAX_OSCORE_ID: Final = 7
"""Bytes of an OSCORE id with the mandatory algorithm (RFC 8613, 3.3: nonce length minus 6)."""


class BadCredentials(LwM2MError):
    """They could not be used; the sentence says why and holds no secret."""


@attrs.frozen(slots=True)
class NoSec:
    """The endpoint name is believed."""

    mode: ClassVar[str] = "nosec"


@attrs.frozen(slots=True)
class Removed:
    """The device had credentials and has none any more: it cannot register at all."""

    mode: ClassVar[str] = "none"


@attrs.frozen(slots=True)
class Psk:
    """A pre-shared key (RFC 4279). One without identity or key can be stored, and proves nothing."""

    mode: ClassVar[str] = "psk"
    psk_identity: str | None
    text: str | None = attrs.field(repr=False)
    """The key as base64; what is not base64 is the key itself."""

    @property
    def key(self) -> bytes | None:
        return key_of_text(self.text) if self.text is not None else None

    def check(self) -> None:
        """Raises ``BadCredentials``."""
        if self.psk_identity is not None and not 0 < len(self.psk_identity.encode()) <= MAX_IDENTITY:
            raise BadCredentials(f"a PSK identity has 1 to {MAX_IDENTITY} bytes of UTF-8")
        if self.key is not None and not 0 < len(self.key) <= MAX_KEY:
            raise BadCredentials(f"a pre-shared key has 1 to {MAX_KEY} bytes")


@attrs.frozen(slots=True)
class Rpk:
    """A raw public key (RFC 7250): the DER of its SubjectPublicKeyInfo, of an elliptic curve."""

    mode: ClassVar[str] = "rpk"
    public_key: bytes

    def check(self) -> None:
        """Raises ``BadCredentials``."""
        try:
            key = load_der_public_key(self.public_key)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise BadCredentials("publicKey is no SubjectPublicKeyInfo in DER") from error
        if not isinstance(key, EllipticCurvePublicKey):
            raise BadCredentials("publicKey is of no elliptic curve")


@attrs.frozen(slots=True)
class X509:
    """A certificate: this one (DER), or without it any that a trusted CA gave for the endpoint name."""

    mode: ClassVar[str] = "x509"
    certificate: bytes | None = None

    def check(self) -> None:
        """Raises ``BadCredentials``."""
        if self.certificate is None:
            return
        try:
            x509.load_der_x509_certificate(self.certificate)
        except ValueError as error:
            raise BadCredentials("certificate is no X.509 certificate in DER") from error


@attrs.frozen(slots=True)
class Oscore:
    """Input of an OSCORE security context (RFC 8613, 3.2), as the server sees it: it receives from the
    device under ``recipient_id``. Algorithms are COSE numbers."""

    mode: ClassVar[str] = "oscore"
    recipient_id: bytes
    sender_id: bytes
    master_secret: bytes = attrs.field(repr=False)
    master_salt: bytes = attrs.field(default=b"", repr=False)
    id_context: bytes | None = None
    aead: int = 10
    """AES-CCM-16-64-128."""
    hkdf: int = -10
    """HKDF SHA-256 (``direct+HKDF-SHA-256``)."""

    def check(self) -> None:
        """Raises ``BadCredentials``."""
        if not self.recipient_id:
            raise BadCredentials("recipientId is empty: the device could not be told from others")
        if max(len(self.recipient_id), len(self.sender_id)) > MAX_OSCORE_ID:
            raise BadCredentials(f"senderId and recipientId have at most {MAX_OSCORE_ID} bytes")
        if self.recipient_id == self.sender_id:
            raise BadCredentials("senderId and recipientId are the same")
        if not self.master_secret:
            raise BadCredentials("masterSecret is empty")
        if (self.aead, self.hkdf) != (10, -10):
            raise BadCredentials("only AES-CCM-16-64-128 (10) with HKDF SHA-256 (-10) is supported")


Credential: TypeAlias = NoSec | Removed | Psk | Rpk | X509 | Oscore


def check(credential: Credential) -> Credential:
    """The same; raises ``BadCredentials``."""
    if not isinstance(credential, (NoSec, Removed)):
        credential.check()
    return credential


def identity_of(credential: Credential) -> bytes | None:
    """What a device is found by; no two devices may have the same in one mode."""
    match credential:
        case Psk(psk_identity=identity) if identity is not None:
            return identity.encode()
        case Rpk(public_key=key):
            return digest(key)
        case X509(certificate=certificate) if certificate is not None:
            return digest(certificate)
        case Oscore(recipient_id=recipient):
            return recipient
        case _:
            return None


def digest(der: bytes) -> bytes:
    """SHA-256: what keys and certificates are found by."""
    hasher = hashes.Hash(hashes.SHA256())
    hasher.update(der)
    return hasher.finalize()


def key_of_text(text: str) -> bytes:
    """Base64 if it is that, else the text itself: both are in use."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return text.encode()


# --- public parts and secrets ------------------------------------------------------------------------


def public_part(credential: Credential) -> dict[str, Any]:
    """What may be shown, as JSON."""
    match credential:
        case Psk():
            return {"identity": credential.psk_identity}
        case Rpk():
            return {"publicKey": _base64(credential.public_key)}
        case X509():
            certificate = credential.certificate
            return {"certificate": None if certificate is None else _base64(certificate)}
        case Oscore():
            context = credential.id_context
            return {
                "recipientId": credential.recipient_id.hex(),
                "senderId": credential.sender_id.hex(),
                "idContext": None if context is None else context.hex(),
                "aeadAlgorithm": credential.aead,
                "hmacAlgorithm": credential.hkdf,
            }
        case _:
            return {}


def secret_part(credential: Credential) -> bytes | None:
    """What must be sealed."""
    match credential:
        case Psk(text=text) if text is not None:
            return text.encode()
        case Oscore(master_secret=secret, master_salt=salt):
            return orjson.dumps([_base64(secret), _base64(salt)])
        case _:
            return None


def assemble(mode: str, public: Mapping[str, Any], secret: bytes | None) -> Credential:
    """From the two parts."""
    match mode:
        case "nosec":
            return NoSec()
        case "none":
            return Removed()
        case "psk":
            return Psk(public["identity"], None if secret is None else secret.decode())
        case "rpk":
            return Rpk(base64.b64decode(public["publicKey"]))
        case "x509":
            certificate = public["certificate"]
            return X509(None if certificate is None else base64.b64decode(certificate))
        case "oscore" if secret is not None:
            master, salt = map(base64.b64decode, orjson.loads(secret))
            context = public["idContext"]
            return Oscore(
                bytes.fromhex(public["recipientId"]),
                bytes.fromhex(public["senderId"]),
                master,
                salt,
                None if context is None else bytes.fromhex(context),
                public["aeadAlgorithm"],
                public["hmacAlgorithm"],
            )
        case _:
            raise BadCredentials(f"credentials of mode {mode!r} are not complete")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
