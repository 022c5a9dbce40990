"""``Viewer``: who looks at a page, what they may do, and the API as they may use it."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

import attrs
from starlette.exceptions import HTTPException
from starlette.requests import Request

from lwm2m_server.access.callers import OPEN, Caller, Role
from lwm2m_server.console.backend import Backend
from lwm2m_server.console.sessions import Session

THEME: Final = "lwm2m_theme"
"""Name of the cookie that says which theme the viewer likes."""
THEMES: Final = ("auto", "light", "dark")
"""``auto`` is what the browser says."""


@attrs.frozen
class Viewer:
    """One request's."""

    caller: Caller
    session: Session
    api: Backend
    tenant: str | None
    """Whose devices are looked at; ``None`` of the role system, which looks at none."""
    theme: str
    """One of ``THEMES``."""

    @property
    def client(self) -> str:
        return self.caller.client

    @property
    def role(self) -> str:
        return self.caller.role.name.lower()

    @property
    def is_open(self) -> bool:
        """Whether nobody has to sign in, as no API clients are configured."""
        return self.caller is OPEN

    @property
    def is_system(self) -> bool:
        return self.caller.is_system

    @property
    def csrf(self) -> str:
        return self.session.csrf

    @property
    def tenants(self) -> tuple[str, ...]:
        """Those to choose from, if there are several."""
        own = (self.caller.tenant,) if self.caller.tenant is not None else ()
        return tuple(sorted({*own, *self.caller.more_tenants}))

    def may(self, role: Role) -> bool:
        """In the tenant that is looked at."""
        return self.tenant is not None and self.caller.may(role, self.tenant)

    @property
    def may_operate(self) -> bool:
        return self.may(Role.OPERATE)

    @property
    def may_administer(self) -> bool:
        return self.may(Role.ADMIN)


def viewer_of(request: Request) -> Viewer:
    """Every page but the one to sign in has one."""
    viewer: Viewer = request.scope["viewer"]
    return viewer


def operator_of(request: Request) -> Viewer:
    """For forms that others could not send. Raises ``HTTPException``."""
    return _with_role(request, Role.OPERATE)


def administrator_of(request: Request) -> Viewer:
    """The same. Raises ``HTTPException``."""
    return _with_role(request, Role.ADMIN)


def _with_role(request: Request, role: Role) -> Viewer:
    viewer = viewer_of(request)
    if not viewer.may(role):
        needed = role.name.lower()
        raise HTTPException(HTTPStatus.FORBIDDEN, f"This takes the role {needed}; yours is {viewer.role}.")
    return viewer
