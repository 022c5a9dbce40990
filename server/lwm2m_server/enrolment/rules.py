"""``Rule``: which unknown devices may come, how they prove who they are, and as what they come."""

from __future__ import annotations

import base64
from collections.abc import Callable, Collection, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final, Literal, TypeAlias, cast

import attrs
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from lwm2m_server.enrolment.reading import Faults, Members, read_members, reading
from lwm2m_server.store.definitions import Enrolment

Proof: TypeAlias = Literal["certificate", "keys", "masterKey", "endpoint"]
PROOFS: Final = ("certificate", "keys", "masterKey", "endpoint")
APPROVALS: Final = ("auto", "queue")
NAME: Final = "{endpoint}"
KEY_LENGTH: Final = 16
"""Bytes of a key that is derived from a master key."""
MIN_MASTER: Final = 16
MAX_MASTER: Final = 64
"""Bytes of a master key."""
INFO: Final = b"lwm2m-psk:"
"""What the identity stands behind in the info of HKDF."""
MAX_PATTERNS: Final = 100
MAX_REJECTED: Final = 1000
_MEMBERS: Final = (
    "name",
    "by",
    "endpoints",
    "certificate",
    "identity",
    "masterKey",
    "masterKeySet",
    "noSec",
    "profile",
    "labels",
    "groups",
    "approval",
    "rejected",
)


@attrs.frozen(slots=True)
class Rule:
    """As it is in force. ``document`` is as it is shown, and kept, but for the secret."""

    tenant: str
    name: str
    by: Proof
    endpoints: Sequence[str]
    issuer: str
    subject: str
    is_pinned: bool
    identity: str
    profile: str | None
    labels: Sequence[str]
    groups: Sequence[str]
    is_queued: bool
    rejected: Collection[str]
    master: bytes | None = attrs.field(default=None, repr=False)
    """The master key, sealed."""

    def fits(self, endpoint: str) -> bool:
        """Whether a device of this name may come by it; one that was rejected is told so."""
        return any(fnmatchcase(endpoint, pattern) for pattern in self.endpoints)

    def accepts(self, certificate: x509.Certificate) -> bool:
        """A leaf whose chain was verified: its issuer and its subject, as RFC 4514 writes names."""
        return fnmatchcase(certificate.issuer.rfc4514_string(), self.issuer) and fnmatchcase(
            certificate.subject.rfc4514_string(), self.subject
        )

    def endpoint_of(self, identity: str) -> str | None:
        """The device with a PSK identity, by the form of identities."""
        before, _, after = self.identity.partition(NAME)
        is_one = len(identity) > len(before) + len(after)
        if is_one and identity.startswith(before) and identity.endswith(after):
            return identity[len(before) : len(identity) - len(after)]
        return None

    def identity_of(self, endpoint: str) -> str:
        return self.identity.replace(NAME, endpoint)


def derived_key(master: bytes, identity: str) -> bytes:
    """HKDF (RFC 5869) with SHA-256, no salt, and ``lwm2m-psk:`` with the identity as info."""
    return HKDF(SHA256(), KEY_LENGTH, None, INFO + identity.encode()).derive(master)


def rule_of(kept: Enrolment) -> Rule:
    """From what is kept of it."""
    document = kept.document
    certificate = document.get("certificate", {})
    master = document.get("sealedMasterKey")
    return Rule(
        kept.tenant or "",
        kept.name,
        document["by"],
        tuple(document["endpoints"]),
        certificate.get("issuer", "*"),
        certificate.get("subject", "*"),
        certificate.get("pinned", False),
        document.get("identity", NAME),
        document.get("profile"),
        tuple(document.get("labels", ())),
        tuple(document.get("groups", ())),
        document.get("approval", "queue") == "queue",
        frozenset(document.get("rejected", ())),
        None if master is None else base64.b64decode(master),
    )


def read_rule(
    given: object, kept: Mapping[str, Any] | None, seal: Callable[[bytes], bytes]
) -> dict[str, Any]:
    """As it is to be kept; a master key that is not mentioned stays. Raises ``Faulty``."""
    with reading() as faults:
        members = read_members(given, "rule", _MEMBERS)
        members.refuse_unknown(faults)
        by = members.get("by")
        if by not in PROOFS:
            faults.add("by", f"one of {', '.join(PROOFS)} is due")
            by = "endpoint"
        found: dict[str, Any] = {
            "by": by,
            "endpoints": list(members.texts("endpoints", faults, MAX_PATTERNS)),
            "profile": members.text("profile", faults),
            "labels": list(members.texts("labels", faults, MAX_PATTERNS)),
            "groups": list(members.texts("groups", faults, MAX_PATTERNS)),
            "approval": members.get("approval", "queue"),
            "rejected": list(members.texts("rejected", faults, MAX_REJECTED)),
        }
        if found["approval"] not in APPROVALS:
            faults.add("approval", f"one of {', '.join(APPROVALS)} is due")
        found |= _of_proof(cast(Proof, by), members, faults, kept, seal)
        if by == "endpoint" and not found["endpoints"]:
            faults.add("endpoints", "a name alone proves nothing: say which ones may come")
        found["endpoints"] = found["endpoints"] or ["*"]
    return found


def _of_proof(
    by: Proof,
    members: Members,
    faults: Faults,
    kept: Mapping[str, Any] | None,
    seal: Callable[[bytes], bytes],
) -> dict[str, Any]:
    allowed = {
        "certificate": ("certificate",),
        "keys": (),
        "masterKey": ("masterKey", "identity", "masterKeySet"),
        "endpoint": ("noSec",),
    }[by]
    for name in ("certificate", "masterKey", "identity", "noSec", "masterKeySet"):
        if name not in allowed and members.get(name) not in (None, False):
            faults.add(name, f"a rule by {by} has none")
    if by == "certificate":
        return {"certificate": _certificate(members, faults)}
    if by == "endpoint":
        if members.get("noSec") is not True:
            faults.add("noSec", "true is due: devices that prove nothing are let in by name alone")
        return {"noSec": True}
    if by == "keys":
        return {}
    identity = members.text("identity", faults) or NAME
    if identity.count(NAME) != 1:
        faults.add("identity", f"a text with one {NAME} in it is due")
    return {"identity": identity, "sealedMasterKey": _master(members, faults, kept, seal)}


def _certificate(members: Members, faults: Faults) -> dict[str, Any]:
    given = read_members(members.get("certificate"), "certificate", ("issuer", "subject", "pinned"))
    given.refuse_unknown(faults)
    issuer = given.text("issuer", faults)
    if issuer is None:
        faults.add("certificate.issuer", "the name of the authority is due, or a pattern of it (RFC 4514)")
    subject = given.text("subject", faults) or "*"
    return {"issuer": issuer, "subject": subject, "pinned": given.flag("pinned", faults)}


def _master(
    members: Members, faults: Faults, kept: Mapping[str, Any] | None, seal: Callable[[bytes], bytes]
) -> str | None:
    given = members.get("masterKey")
    if given is None and kept is not None and kept.get("sealedMasterKey"):
        stays: str = kept["sealedMasterKey"]
        return stays
    try:
        key = bytes.fromhex(given) if isinstance(given, str) else b""
    except ValueError:
        key = b""
    if not MIN_MASTER <= len(key) <= MAX_MASTER:
        faults.add("masterKey", f"{MIN_MASTER} to {MAX_MASTER} bytes in hexadecimal digits are due")
        return None
    return base64.b64encode(seal(key)).decode("ascii")


def shown(kept: Enrolment) -> dict[str, Any]:
    """Without the secret."""
    document = {name: value for name, value in kept.document.items() if name != "sealedMasterKey"}
    if kept.document["by"] == "masterKey":
        document["masterKeySet"] = True
    return {"name": kept.name, **document}
