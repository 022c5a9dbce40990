"""Open the device profiles of an installation."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack

import attrs

from lwm2m_engine.errors import SettingsError
from lwm2m_engine.model.catalog import Catalog
from lwm2m_server.profiles.belonging import Belonging
from lwm2m_server.profiles.checks import versions_of
from lwm2m_server.profiles.editor import Editor
from lwm2m_server.profiles.fleet import Fleet
from lwm2m_server.profiles.groups import Memberships
from lwm2m_server.profiles.mapping import ProfileMapping
from lwm2m_server.profiles.service import Profiles
from lwm2m_server.store.definitions import DeviceProfile
from lwm2m_server.store.ids import ResourceIds
from lwm2m_server.store.protocols import Inventory, Ledger


@attrs.frozen
class ProfileServer:
    """Its parts."""

    profiles: Profiles
    memberships: Memberships
    belonging: Belonging
    editor: Editor
    fleet: Fleet


async def open_profiles(
    inventory: Inventory,
    ledger: Ledger,
    groups: str,
    catalog: Callable[[str], Catalog],
    stack: AsyncExitStack,
) -> ProfileServer:
    """``groups`` is the name of what device groups lie in, ``catalog`` gives a tenant's models.

    Raises ``CommitFailed``, and ``SettingsError`` for a profile that was edited and is none any more.
    """
    for profile in inventory.profiles.all():
        _check(profile)
    ids = ResourceIds(ledger.installation)
    memberships = Memberships(inventory, ledger.reader, ids, groups)
    belonging = Belonging(inventory, ledger, ids, groups)
    profiles = Profiles(inventory, ledger.reader, group_of=memberships)
    editor = Editor(inventory, ledger, profiles, memberships, lambda tenant: versions_of(catalog(tenant)))
    await editor.resume()
    stack.push_async_callback(editor.close)
    return ProfileServer(profiles, memberships, belonging, editor, Fleet(ledger, profiles, memberships))


def _check(profile: DeviceProfile) -> None:
    """Somebody may have edited the file of the inventory."""
    try:
        ProfileMapping.of(profile.document["transportConfiguration"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        name = f"device profile {profile.name!r} of tenant {profile.tenant!r}"
        raise SettingsError(f"{name}: {type(error).__name__}: {error}") from error
