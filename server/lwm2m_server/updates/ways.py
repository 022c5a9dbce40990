"""How a device gets a package: which ways there are, and which is tried first."""

from __future__ import annotations

from lwm2m_server.store.definitions import Package


def ways_of(package: Package, method: str) -> tuple[str, ...]:
    """In the order they are tried. What lies elsewhere can only be pulled."""
    if package.url is not None:
        return ("pull",)
    return ("push", "pull") if method == "auto" else (method,)
