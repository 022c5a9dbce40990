"""Which endpoint names a certificate gives to the device that holds it (LwM2M Transport 1.2, 5.2.8)."""

from __future__ import annotations

from collections.abc import Iterator

from cryptography import x509
from cryptography.x509.oid import NameOID


def names_of(der: bytes) -> Iterator[str]:
    """The Common Name of its subject, then the URIs and DNS names of its SubjectAltName."""
    certificate = x509.load_der_x509_certificate(der)
    for attribute in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME):
        yield str(attribute.value)
    try:
        alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return
    yield from alternatives.get_values_for_type(x509.UniformResourceIdentifier)
    yield from alternatives.get_values_for_type(x509.DNSName)
