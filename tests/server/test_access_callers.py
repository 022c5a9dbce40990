"""Roles include those before them; the system's does not; tenants are apart."""

import pytest

from lwm2m_server.access.callers import NOBODY, OPEN, Caller, Role

TENANT_ROLES = [Role.READ, Role.OPERATE, Role.ADMIN]


@pytest.mark.parametrize("role", TENANT_ROLES)
def test_a_role_includes_those_before_it_in_its_tenant(role):
    caller = Caller("app", "main", role, None)
    assert [asked for asked in TENANT_ROLES if caller.may(asked, "main")] == TENANT_ROLES[:role]
    assert not any(caller.may(asked, "other") for asked in TENANT_ROLES)
    assert not caller.is_system


def test_tenants_may_be_several():
    caller = Caller("app", "main", Role.READ, None, frozenset({"second"}))
    assert caller.may(Role.READ, "second")
    assert not caller.may(Role.READ, "third")


def test_the_system_is_no_tenant():
    caller = Caller("root", None, Role.SYSTEM, None)
    assert caller.is_system
    assert not any(caller.may(role, "main") for role in TENANT_ROLES)


def test_nobody_may_do_nothing():
    assert not any(NOBODY.may(role, "main") for role in TENANT_ROLES)
    assert not NOBODY.is_system


def test_without_clients_everybody_administers():
    assert OPEN.is_system
    assert OPEN.may(Role.ADMIN, "any")
