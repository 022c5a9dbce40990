"""Address forms of oneM2M over HTTP (TS-0009, 6.2; TS-0004, 6.2.2), and the form of the D2C API."""

from __future__ import annotations

import attrs

from lwm2m_server.onem2m.errors import BadRequest

PLACEHOLDER = "-"
"""Stands for the CSEBase name (TS-0004, 6.2.2.3)."""


@attrs.frozen(slots=True)
class Address:
    """``to`` of a request: where to begin, and names from there on.

    ``tenant`` is ``None`` where only the first name, a resource id, can tell. ``root`` is the part of
    the HTTP path before it, for links in answers.
    """

    tenant: str | None
    names: tuple[str, ...]
    by_id: bool
    """The first of ``names`` is a resource id; else the names start below the CSEBase."""
    root: str

    def __str__(self) -> str:
        return "/".join(self.names if self.tenant is None else (self.tenant, *self.names))


def parse_address(path: str, prefix: str, default_tenant: str) -> Address:
    """From an HTTP path, percent-decoded. Raises ``BadRequest``.

    ``<prefix>/<tenant>/<names>`` and ``<prefix>/~/<tenant>/<ri>``; without the prefix
    ``/<CSEBase>/<names>``, ``/-/<names>``, ``/<ri>``, ``/~/<CSE-ID>/…`` and ``/_/<SP-ID>/<CSE-ID>/…``.
    """
    below_prefix = path == prefix or path.startswith(f"{prefix}/")
    root = prefix if below_prefix else ""
    names = tuple(path[len(root) :].strip("/").split("/"))
    if "" in names:
        raise BadRequest(f"{path} names no resource: it has an empty element")
    if names[0] == "~":
        return _below_cse(names[1:], root, path)
    if names[0] == "_" and not below_prefix:
        return _below_cse(names[2:], root, path)
    if below_prefix:
        return Address(names[0], names[1:], False, root)
    if names[0] == PLACEHOLDER:
        return Address(default_tenant, names[1:], False, root)
    return Address(None, names, True, root)


def _below_cse(names: tuple[str, ...], root: str, path: str) -> Address:
    if len(names) < 2:
        raise BadRequest(f"{path} names no resource: a CSE-ID and a resource id or name must follow")
    tenant, first, *rest = names
    if first in (tenant, PLACEHOLDER):
        return Address(tenant, tuple(rest), False, root)
    return Address(tenant, (first, *rest), True, root)


def parse_reference(text: str, tenant: str) -> Address:
    """A resource as attributes name it: ``main/dev1``, ``-/dev1``, ``<ri>``, ``/main/…``, ``//sp/main/…``.

    ``tenant`` is whose attribute it is. Raises ``BadRequest``.
    """
    names = tuple(text.split("/"))
    if text.startswith("//"):
        names = names[3:]
    elif text.startswith("/"):
        names = names[1:]
    else:
        names = (tenant, *names)
    if "" in names:
        raise BadRequest(f"{text[:80]!r} names no resource: it has an empty element")
    return _below_cse(names, "", text)
