"""``Caller``: who makes a request and what they may do; every door of the server knows before it opens."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import attrs


class Role(IntEnum):
    """What a caller may do in a tenant, each including those before it; ``SYSTEM`` stands beside them."""

    READ = 1
    """Look."""
    OPERATE = 2
    """Change devices, messages, groups and applications too."""
    ADMIN = 3
    """Speak as the administrator or the platform, read secrets where they are readable, see the audit log,
    manage the tenant's clients, too."""
    SYSTEM = 4
    """Tenants, clients of every tenant, and what belongs to no tenant; nothing inside of one."""


@attrs.frozen
class Caller:
    """One client of the API, authenticated."""

    client: str
    """Client id, or name of the API key."""
    tenant: str | None
    """``None`` of those who belong to no tenant."""
    role: Role
    origins: frozenset[str] | None
    """AE-IDs it may send as ``X-M2M-Origin``; ``None`` for any of its tenant."""
    more_tenants: frozenset[str] = frozenset()
    """Tenants besides its own that it has the same role in."""

    def may(self, role: Role, tenant: str) -> bool:
        """Whether it has at least this role (not ``SYSTEM``) in a tenant."""
        if self.role is Role.SYSTEM or self.role < role:
            return False
        return self.tenant == tenant or self is OPEN or tenant in self.more_tenants

    @property
    def is_system(self) -> bool:
        """Whether it may manage tenants, and clients of all of them."""
        return self.role is Role.SYSTEM or self is OPEN


OPEN: Final = Caller("open", None, Role.ADMIN, None)
"""Whoever can connect while no clients are configured: administrator of any tenant, from this machine."""
NOBODY: Final = Caller("nobody", None, Role.READ, frozenset())
"""Who asks for what is for everybody, and may do nothing else."""
