"""Which endpoint names a certificate gives to the device that holds it (LwM2M Transport 1.2, 5.2.8)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from lwm2m_engine.errors import SettingsError

NAME: Final = "{endpoint}"
PATTERNS: Final = (f"CN={NAME}", f"URI={NAME}", f"DNS={NAME}")


class CertificateNames:
    """Called with a certificate in DER; the names in it, in the order of the patterns.

    A pattern is ``CN=``, ``URI=`` or ``DNS=`` (Common Name of the subject, names of the SubjectAltName) and
    a text with ``{endpoint}`` in it. Raises ``SettingsError`` for what is none.
    """

    def __init__(self, patterns: Sequence[str] = PATTERNS) -> None:
        self._patterns = [_compiled(pattern) for pattern in patterns]

    def __call__(self, der: bytes) -> Iterator[str]:
        certificate = x509.load_der_x509_certificate(der)
        for texts_of, form in self._patterns:
            for text in texts_of(certificate):
                found = form.fullmatch(text)
                if found is not None:
                    yield found[1]


def _common_names(certificate: x509.Certificate) -> Iterable[str]:
    return [str(one.value) for one in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]


def _uris(certificate: x509.Certificate) -> Iterable[str]:
    return _alternatives(certificate, x509.UniformResourceIdentifier)


def _domains(certificate: x509.Certificate) -> Iterable[str]:
    return _alternatives(certificate, x509.DNSName)


def _alternatives(
    certificate: x509.Certificate, kind: type[x509.UniformResourceIdentifier] | type[x509.DNSName]
) -> Iterable[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return ()
    return found.value.get_values_for_type(kind)


_KINDS: Final[dict[str, Callable[[x509.Certificate], Iterable[str]]]] = {
    "CN": _common_names,
    "URI": _uris,
    "DNS": _domains,
}


def _compiled(pattern: str) -> tuple[Callable[[x509.Certificate], Iterable[str]], re.Pattern[str]]:
    kind, equals, text = pattern.partition("=")
    if kind not in _KINDS or not equals or text.count(NAME) != 1:
        raise SettingsError(
            f"dtls.names: {pattern!r} is no pattern: {', '.join(_KINDS)}, an equals sign, and a text with "
            f"one {NAME} in it"
        )
    before, after = map(re.escape, text.split(NAME))
    return _KINDS[kind], re.compile(f"{before}(.+){after}")
