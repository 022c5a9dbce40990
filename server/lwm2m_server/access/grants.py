"""``Grants``: the access file, TOML with what is trusted besides the server's own clients.

``[keys.<name>]`` are API keys, by their SHA-256; ``[issuers.<name>]`` are issuers of tokens, by the URL of
their keys (JWKS).
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import urlsplit

import attrs
import cattrs
from attrs.validators import deep_mapping, in_, instance_of, matches_re

from lwm2m_engine.errors import SettingsError
from lwm2m_server.access.callers import Caller, Role
from lwm2m_server.settings import Address

_ROLES: Final = {
    "ro%device-management-orchestrator": "read",
    "rw%device-management-orchestrator": "operate",
}
"""What the roles of a D2C token mean."""
MAX_CLIENT: Final = 100
"""Characters of the name an issuer has for a client that are kept."""
_TENANT_ROLES: Final = ("read", "operate", "admin")
RoleName: TypeAlias = Literal["read", "operate", "admin", "system"]


@attrs.frozen
class ApiKey:
    """A secret that is sent as it is, with each request."""

    sha256: str = attrs.field(validator=matches_re(re.compile(r"[0-9a-f]{64}")), repr=False)
    role: RoleName
    tenant: str | None = None
    origins: tuple[str, ...] | None = None

    def __attrs_post_init__(self) -> None:
        if (self.role == "system") != (self.tenant is None):
            raise ValueError("a tenant belongs to every role but 'system'")

    def caller(self, name: str) -> Caller:
        origins = frozenset(self.origins) if self.origins is not None else None
        return Caller(f"key:{name}", self.tenant, Role[self.role.upper()], origins)


def _is_safe(_: object, __: object, url: str) -> None:
    parts = urlsplit(url)
    own = parts.scheme == "http" and Address(parts.hostname or "", 0).is_loopback
    if not (parts.hostname and (parts.scheme == "https" or own)):
        raise ValueError(f"{url!r} is not an https:// address")


@attrs.frozen
class Issuer:
    """Whoever signs tokens with keys that ``jwks`` shows, for this ``audience``."""

    issuer: str = attrs.field(validator=instance_of(str))
    jwks: str = attrs.field(validator=_is_safe)
    audience: str
    tenant: str | None = None
    """Of all its tokens; without, the claim ``tenants`` tells."""
    tenants_claim: str = "tenants"
    roles_claim: str = "realm_access.roles"
    roles: Mapping[str, str] = attrs.field(
        default=_ROLES, validator=deep_mapping(instance_of(str), in_(_TENANT_ROLES))
    )
    """Which role of ours each of its roles is."""

    def caller(self, name: str, claims: Mapping[str, Any]) -> Caller | None:
        """``None`` for a token that gives no role or no tenant."""
        granted = [
            self.roles[role] for role in _texts(_claim(claims, self.roles_claim)) if role in self.roles
        ]
        tenants = [self.tenant] if self.tenant is not None else _texts(_claim(claims, self.tenants_claim))
        if not granted or not tenants:
            return None
        role = max(Role[one.upper()] for one in granted)
        client = next((text for key in ("azp", "clientId", "sub") for text in _texts(claims.get(key))), "")
        return Caller(f"{name}:{client[:MAX_CLIENT]}", tenants[0], role, None, frozenset(tenants[1:]))


@attrs.frozen
class Grants:
    """All of the file. Without a file: nothing."""

    keys: Mapping[str, ApiKey] = attrs.field(factory=dict)
    issuers: Mapping[str, Issuer] = attrs.field(factory=dict)
    _callers: Mapping[str, Caller] = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        callers = {key.sha256: key.caller(name) for name, key in self.keys.items()}
        if len(callers) < len(self.keys):
            raise ValueError("two keys are the same")
        object.__setattr__(self, "_callers", callers)

    def __bool__(self) -> bool:
        return bool(self.keys or self.issuers)

    def key_holder(self, key: str) -> Caller | None:
        # What is looked up is a hash: how long it takes tells nothing about the keys there are.
        return self._callers.get(hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest())

    def issuer(self, issuer: object) -> tuple[str, Issuer] | None:
        """By the claim ``iss``."""
        return next(((name, one) for name, one in self.issuers.items() if one.issuer == issuer), None)


def load_grants(file: Path) -> Grants:
    """Raises ``SettingsError`` naming what is wrong."""
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
        return _CONVERTER.structure(document, Grants)
    except OSError as error:
        raise SettingsError(f"access.file: {file}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"access.file: {file}: {error}") from error
    except cattrs.BaseValidationError as error:
        reasons = "; ".join(cattrs.transform_error(error, format_exception=_reason))
        raise SettingsError(f"access.file: {file}: {reasons}") from error


def _reason(error: BaseException, _: type | None) -> str:
    match error:
        case KeyError():
            return f"{error.args[0]} is missing"
        case cattrs.ForbiddenExtraKeysError():
            return f"unknown: {', '.join(sorted(error.extra_fields))}"
        case ValueError() | TypeError():
            # What does not match a pattern says so first; the value, a secret perhaps, comes after it.
            return str(error.args[0]).split("(")[0] if error.args else "cannot be used"
    return "cannot be used"


def _claim(claims: Mapping[str, Any], name: str) -> object:
    """``realm_access.roles`` is the member ``roles`` of the claim ``realm_access``."""
    if name in claims:
        return claims[name]
    first, dot, rest = name.partition(".")
    inner = claims.get(first)
    return _claim(inner, rest) if dot and isinstance(inner, Mapping) else None


def _texts(found: object) -> list[str]:
    """Words, or a list of them; what cannot be printed is in no name."""
    words = found.split() if isinstance(found, str) else found
    if not isinstance(words, list):
        return []
    return [word for word in words if isinstance(word, str) and word.isprintable()]


_CONVERTER = cattrs.Converter(forbid_extra_keys=True)
