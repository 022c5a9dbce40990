"""``OpensslEngine``: DTLS by the OpenSSL inside cryptography's wheels, through pyOpenSSL."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL
from OpenSSL.crypto import X509

from lwm2m_engine.errors import SettingsError
from lwm2m_server.coap.dtls import psk
from lwm2m_server.coap.dtls.certificates import Certificates
from lwm2m_server.coap.dtls.identities import Identities
from lwm2m_server.coap.dtls.openssl_session import OpensslSession
from lwm2m_server.coap.dtls.renewal import Renewed
from lwm2m_server.coap.dtls.resumption import Resumable

OPTIONS = SSL.OP_NO_QUERY_MTU | SSL.OP_NO_RENEGOTIATION | SSL.OP_CIPHER_SERVER_PREFERENCE

SELF_SIGNED, NO_ISSUER, NOT_VERIFIED = 18, 20, 21
NOT_FROM_AN_AUTHORITY = (SELF_SIGNED, NO_ISSUER, NOT_VERIFIED)
"""Of X509_V_ERR: what does not matter if credentials name the very certificate."""


class OpensslEngine:
    """A context of OpenSSL, and what its handshakes ask."""

    def __init__(
        self,
        identities: Identities,
        *,
        suites: Sequence[str],
        mtu: int,
        certificates: Certificates | None = None,
        extend: Callable[[SSL.Context], None] | None = None,
    ) -> None:
        """``suites`` by their names at IANA, the preferred first; ``mtu`` is what a datagram may hold;
        ``extend`` adds to each context what OpenSSL does not know.

        Raises ``SettingsError`` if pre-shared keys or a file cannot be used.
        """
        trouble = psk.problem()
        if trouble is not None:
            raise SettingsError(f"dtls: {trouble}")
        self._identities, self._suites, self._mtu = identities, suites, mtu
        self._certificates, self._extend = certificates, extend
        self._resumable = Resumable(identities)
        self._asking: OpensslSession | None = None
        self._context = Renewed(certificates.files if certificates is not None else (), self._make_context)

    @property
    def name(self) -> str:
        return SSL.OpenSSL_version(SSL.OPENSSL_VERSION).decode()

    def accept(self, cid: bytes = b"") -> OpensslSession:
        """``cid`` is not used: OpenSSL does not know RFC 9146."""
        connection = SSL.Connection(self._context(), None)
        connection.set_ciphertext_mtu(self._mtu)
        return OpensslSession(self, connection, self._mtu)

    def _make_context(self) -> SSL.Context:
        context = SSL.Context(SSL.DTLS_SERVER_METHOD)
        context.set_min_proto_version(psk.DTLS_1_2)
        # A tag of 8 bytes counts as 64 bits of security, less than OpenSSL allows by default.
        context.set_cipher_list(":".join((*self._suites, "@SECLEVEL=0")).encode())
        context.set_options(OPTIONS)
        context.set_session_id(b"lwm2m")
        context.set_session_cache_mode(SSL.SESS_CACHE_SERVER)
        # Whoever gets a session has shown a good cookie already.
        context.set_cookie_generate_callback(lambda connection: b"\0")
        context.set_cookie_verify_callback(lambda connection, cookie: True)
        if self._certificates is not None:
            self._certificates.load(context)
            context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, self._verify)
        if self._extend is not None:
            self._extend(context)
        psk.answer(context, self._key_of)
        return context

    # --- what a handshake asks ---

    def shake(self, session: OpensslSession) -> str | None:
        """Go on with a handshake; once it is complete the endpoint name it has proved, if any.

        Raises what pyOpenSSL raises, ``WantReadError`` as long as it is not complete.
        """
        connection, self._asking = session.connection, session
        connection.do_handshake()
        certificate = connection.get_peer_certificate(as_cryptography=True)
        if certificate is not None:
            return self._identities.certificate(certificate.public_bytes(Encoding.DER))
        master_secret = connection.master_key() or b""
        if session.offered is not None:
            self._resumable.remember(master_secret, *session.offered)
        return self._resumable.endpoint(master_secret)

    def _key_of(self, identity: bytes) -> bytes | None:
        secret, session = self._identities.psk(identity), self._asking
        if session is None:
            return None
        if secret is None:
            session.refusal = f"there are no credentials with the PSK identity {identity[:64]!r}"
            return None
        session.offered = identity, secret
        return secret.key

    def _verify(
        self, connection: SSL.Connection, certificate: X509, error: int, depth: int, good: int
    ) -> bool:
        if depth:
            return bool(good)
        if not good and error not in NOT_FROM_AN_AUTHORITY:
            return False
        found = certificate.to_cryptography()
        der = found.public_bytes(Encoding.DER)
        endpoint = self._identities.certificate(der) if good else self._identities.pinned(der)
        if endpoint is None and self._asking is not None:
            name = found.subject.rfc4514_string()[:64]
            self._asking.refusal = f"there are no credentials with the certificate of {name!r}"
        return endpoint is not None
