"""The document of a device's credentials, as profiles of other platforms come with it.

``client`` is what the device proves itself with now. ``bootstrap`` has, for each kind of server, what
bootstrap is to give to the device: ``bootstrapServer`` is also what it proves itself with to the bootstrap
server, and ``lwm2mServer`` takes the place of ``client`` once the device has got it. A section of mode NO_SEC
beside a client that has a key says nothing: bootstrap is then proved as ``client`` says.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import attrs
import orjson
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_private_key

from lwm2m_server.enrolment.reading import Faults, Members, read_members, reading
from lwm2m_server.security.credentials import (
    X509,
    BadCredentials,
    Credential,
    NoSec,
    Oscore,
    Psk,
    Removed,
    Rpk,
    check,
)
from lwm2m_server.security.forms import certificate_der, public_key_der
from lwm2m_server.security.material import Section, credential_of, section

TYPE: Final = "LWM2M_CREDENTIALS"
KEY_LENGTH: Final = 16
"""Bytes of a generated key: what the cipher suites of LwM2M make use of."""
MAX_TEXT: Final = 16_384
"""Letters of one member."""
_OF_OTHERS: Final = ("id", "createdTime", "deviceId", "version")
"""What an export has besides, and what is another platform's own."""
_CLIENT: Final[Mapping[str, Sequence[str]]] = {
    "NO_SEC": (),
    "PSK": ("identity", "key", "generate"),
    "RPK": ("key",),
    "X509": ("cert",),
    "OSCORE": ("recipientId", "senderId", "masterSecret", "masterSalt", "idContext"),
}
_ALL_OF_CLIENT: Final = frozenset(name for names in _CLIENT.values() for name in names)
_SECTION: Final = ("securityMode", "clientPublicKeyOrId", "clientSecretKey", "generate")
_MODES: Final = ("NO_SEC", "PSK", "RPK", "X509")


@attrs.frozen(slots=True)
class NewCredentials:
    """What a device is to have, checked."""

    endpoint: str
    management: Credential
    bootstrap: Credential
    sections: Mapping[str, Section] = attrs.field(factory=dict, repr=False)
    """What bootstrap gives that the credentials do not say."""
    generated: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    """Keys that were made, in hexadecimal digits, by where they are from: to be shown this once."""


NONE: Final = Removed()


def read_credentials(given: object, name: str) -> NewCredentials:
    """``credentials`` of a device called ``name``. Raises ``Faulty``: it has no secret."""
    with reading() as faults:
        members = read_members(given, "credentials", ("credentialsType", "credentialsId", "credentialsValue"))
        if not members.is_object:
            faults.add("credentials", "a JSON object is due")
        for other in set(members.unknown) - set(_OF_OTHERS):
            faults.add(f"credentials.{other[:40]}", "there is no such member")
        if members.get("credentialsType", TYPE) != TYPE:
            faults.add("credentials.credentialsType", f"only {TYPE} is known here")
        key = members.text("credentialsId", faults)
        value = _value(members.get("credentialsValue"), faults)
        return _Reader(faults).read(value, key, name)


def _value(given: object, faults: Faults) -> object:
    """As an object, or as JSON text."""
    if not isinstance(given, str):
        return given
    try:
        return orjson.loads(given)
    except orjson.JSONDecodeError:
        # What stands there is a secret.
        faults.add("credentialsValue", "this text is not JSON")
        return {}


class _Reader:
    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._generated: dict[str, str] = {}

    def read(self, given: object, key: str | None, name: str) -> NewCredentials:
        faults = self._faults
        members = read_members(given, "credentialsValue", ("client", "bootstrap"))
        members.refuse_unknown(faults)
        client = read_members(
            members.get("client"), "client", ("endpoint", "securityConfigClientMode", *_ALL_OF_CLIENT)
        )
        client.refuse_unknown(faults)
        mode = client.get("securityConfigClientMode", "NO_SEC")
        if mode not in _CLIENT:
            faults.add("client.securityConfigClientMode", f"one of {', '.join(_CLIENT)} is due")
            mode = "NO_SEC"
        for other in sorted(_ALL_OF_CLIENT.difference(_CLIENT[mode])):
            if client.get(other) not in (None, "", False):
                faults.add(f"client.{other}", f"mode {mode} has none")
        endpoint = client.text("endpoint", faults) or (key if mode != "PSK" else None) or name
        management = self._client(mode, client, key)
        self._check_key(key, mode, endpoint, management)
        bootstrap, sections = self._bootstrap(members.get("bootstrap"), management)
        faults.settle()
        return NewCredentials(endpoint, management, bootstrap, sections, self._generated)

    def _check_key(self, key: str | None, mode: str, endpoint: str, management: Credential) -> None:
        """``credentialsId`` is what the device is found by."""
        identity = management.psk_identity if isinstance(management, Psk) else endpoint
        if key is None or key == identity or management is NONE:
            return
        if isinstance(management, X509) and management.certificate is not None:
            text = base64.b64encode(management.certificate)
            if hmac.compare_digest(hashlib.sha3_256(text).hexdigest(), key):
                return
        what = "client.identity" if mode == "PSK" else "client.endpoint"
        self._faults.add("credentials.credentialsId", f"it is not the same as {what}")

    # --- client ----------------------------------------------------------------------------------------

    def _client(self, mode: str, client: Members, key: str | None) -> Credential:
        if mode == "PSK":
            identity = client.text("identity", self._faults) or key
            return self._psk("client", identity, "identity", client.get("key"), client.get("generate"), "key")
        if mode == "RPK":
            public = self._bytes("client.key", client.get("key"), public_key_der, _PUBLIC)
            return self._checked("client.key", Rpk(public)) if public else NONE
        if mode == "X509":
            if client.get("cert") in (None, ""):
                return X509()
            der = self._bytes("client.cert", client.get("cert"), certificate_der, _CERTIFICATE)
            return self._checked("client.cert", X509(der)) if der else NONE
        return self._oscore(client) if mode == "OSCORE" else NoSec()

    def _oscore(self, client: Members) -> Credential:
        def given(name: str) -> bytes | None:
            if client.get(name) is None and name in ("masterSalt", "idContext"):
                return None
            return self._bytes(f"client.{name}", client.get(name), bytes.fromhex, _HEX)

        recipient, sender, secret = (given(name) for name in ("recipientId", "senderId", "masterSecret"))
        salt, context = given("masterSalt"), given("idContext")
        if recipient is None or sender is None or secret is None:
            return NONE
        return self._checked("client", Oscore(recipient, sender, secret, salt or b"", context))

    def _psk(
        self, place: str, identity: str | None, named: str, key: object, generate: object, keyed: str
    ) -> Credential:
        if not identity:
            self._faults.add(f"{place}.{named}", "the PSK identity is due")
        if generate not in (None, True, False):
            self._faults.add(f"{place}.generate", "true or false is due")
        if generate is True:
            if key not in (None, ""):
                self._faults.add(f"{place}.generate", f"{keyed} is there, too")
            made = secrets.token_bytes(KEY_LENGTH)
            self._generated[place] = made.hex()
            found: bytes | None = made
        else:
            found = self._bytes(f"{place}.{keyed}", key, bytes.fromhex, _HEX)
        if not identity or not found:
            return NONE
        return self._checked(place, Psk(identity, base64.b64encode(found).decode("ascii")))

    # --- bootstrap -------------------------------------------------------------------------------------

    def _bootstrap(self, given: object, management: Credential) -> tuple[Credential, dict[str, Section]]:
        """What the device proves itself with to the bootstrap server, and what that gives to it."""
        if given is None:
            return NONE, {}
        members = read_members(given, "bootstrap", ("bootstrapServer", "lwm2mServer"))
        members.refuse_unknown(self._faults)
        account = self._section("bootstrapServer", members.get("bootstrapServer"))
        managing = self._section("lwm2mServer", members.get("lwm2mServer"))
        # It is given to the device, and shown to nobody.
        self._generated.pop("bootstrap.lwm2mServer", None)
        sections = {}
        bootstrap = management
        if account is not None:
            bootstrap = credential_of(account)
            if not isinstance(bootstrap, Psk):
                sections["bootstrapServer"] = account
        if managing is not None and credential_of(managing) != management:
            sections["lwm2mServer"] = managing
        elif managing is not None and not isinstance(management, Psk):
            # The private key is nowhere else.
            sections["lwm2mServer"] = managing
        return bootstrap, sections

    def _section(self, name: str, given: object) -> Section | None:
        """``None`` for one that says nothing."""
        if given is None:
            return None
        place, faults = f"bootstrap.{name}", self._faults
        members = read_members(given, place, _SECTION)
        members.refuse_unknown(faults)
        mode = members.get("securityMode", "NO_SEC")
        if mode not in _MODES:
            faults.add(f"{place}.securityMode", f"one of {', '.join(_MODES)} is due")
            return None
        public, secret = members.get("clientPublicKeyOrId"), members.get("clientSecretKey")
        if mode == "NO_SEC":
            for member in ("clientPublicKeyOrId", "clientSecretKey", "generate"):
                if members.get(member) not in (None, "", False):
                    faults.add(f"{place}.{member}", "mode NO_SEC has none")
            return None
        if mode == "PSK":
            identity = members.text("clientPublicKeyOrId", faults)
            psk = self._psk(
                place, identity, "clientPublicKeyOrId", secret, members.get("generate"), "clientSecretKey"
            )
            key = psk.key if isinstance(psk, Psk) else None
            return section("PSK", identity, key.hex()) if identity and key else None
        if members.get("generate") not in (None, False):
            faults.add(f"{place}.generate", f"keys of mode {mode} are not made here")
        return self._asymmetric(place, mode, public, secret)

    def _asymmetric(self, place: str, mode: str, public: object, secret: object) -> Section | None:
        read, words = (public_key_der, _PUBLIC) if mode == "RPK" else (certificate_der, _CERTIFICATE)
        der = self._bytes(f"{place}.clientPublicKeyOrId", public, read, words)
        private = self._bytes(f"{place}.clientSecretKey", secret, _private_der, _PRIVATE)
        if der is None or private is None:
            return None
        credential: Credential = Rpk(der) if mode == "RPK" else X509(der)
        if self._checked(f"{place}.clientPublicKeyOrId", credential) is NONE:
            return None
        if _public_of(private) != (der if mode == "RPK" else _key_of(der)):
            self._faults.add(f"{place}.clientSecretKey", "it does not belong to clientPublicKeyOrId")
        return section(mode, _base64(der), _base64(private))

    # --- parts -----------------------------------------------------------------------------------------

    def _checked(self, place: str, credential: Credential) -> Credential:
        try:
            return check(credential)
        except BadCredentials as error:
            self._faults.add(place, str(error))
            return NONE

    def _bytes(self, place: str, given: object, read: Callable[[str], bytes], words: str) -> bytes | None:
        """The value is in no message: it may be the secret."""
        if isinstance(given, str) and 0 < len(given) <= MAX_TEXT:
            try:
                return read(given)
            except ValueError:
                pass
        self._faults.add(place, f"{words} is due")
        return None


_HEX: Final = "an even number of hexadecimal digits"
_PUBLIC: Final = "a public key of an elliptic curve, PEM or base64 of its SubjectPublicKeyInfo in DER,"
_CERTIFICATE: Final = "a certificate, PEM or base64 of DER,"
_PRIVATE: Final = "the private key that the device is to get, base64 of PKCS #8 in DER,"


def _private_der(text: str) -> bytes:
    """Raises ``ValueError``."""
    der = base64.b64decode("".join(text.split()), validate=True)
    try:
        load_der_private_key(der, None)
    except (TypeError, UnsupportedAlgorithm) as error:
        raise ValueError(str(error)) from error
    return der


def _public_of(private: bytes) -> bytes:
    key = load_der_private_key(private, None)
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _key_of(certificate: bytes) -> bytes:
    key = x509.load_der_x509_certificate(certificate).public_key()
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
