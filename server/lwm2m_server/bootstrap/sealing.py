"""``SealedTemplates``: templates whose secrets are sealed in the inventory's file, and open in memory."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import attrs
import orjson
import structlog

from lwm2m_engine.bootstrap.secrets import Place, is_reference, place_of, with_secrets
from lwm2m_engine.errors import SettingsError
from lwm2m_engine.model.view import ModelView
from lwm2m_server.security.vault import Vault
from lwm2m_server.store.protocols import Inventory
from lwm2m_server.store.records import BootstrapTemplate

SEALED: Final = "sealed"
"""The only member of what stands in the file in place of a secret; no configuration can have it there."""

_log = structlog.get_logger(__name__)


class SealedTemplates:
    """A secret is bound to its place in its template: moved elsewhere it cannot be opened."""

    def __init__(self, inventory: Inventory, vault: Vault, models: Callable[[str], ModelView]) -> None:
        """``models`` gives those in force for a tenant, which say what is a secret."""
        self._inventory, self._vault, self._models = inventory, vault, models
        self._stored: Sequence[BootstrapTemplate] = ()
        self._open: Sequence[BootstrapTemplate] = ()

    def all(self) -> Sequence[BootstrapTemplate]:
        """Another list after each change of the inventory.

        Raises ``SettingsError`` if one was sealed with another key.
        """
        stored = self._inventory.bootstrap_templates()
        if stored is not self._stored:
            self._open, self._stored = [self._opened(template) for template in stored], stored
        return self._open

    async def put(self, template: BootstrapTemplate) -> None:
        """Raises ``CommitFailed``."""
        await self._inventory.put_bootstrap_template(self._sealed(template))

    async def remove(self, tenant: str, name: str) -> None:
        """Raises ``CommitFailed``."""
        await self._inventory.remove_bootstrap_template(tenant, name)

    async def seal_clear(self) -> None:
        """Once at start: files of earlier versions, or edited by people, have secrets in clear."""
        found = self._inventory.bootstrap_templates()
        clear = [template for template in found if self._sealed(template) != template]
        for template in clear:
            await self.put(template)
        if clear:
            _log.warning(
                "secrets of bootstrap configurations were in clear in the inventory and are sealed now; "
                "delete copies of before",
                configurations=[template.name for template in clear],
            )

    # --- one template --------------------------------------------------------------------------------

    def _sealed(self, template: BootstrapTemplate) -> BootstrapTemplate:
        def seal(place: Place, value: Any) -> Any:
            if is_reference(value) or _is_sealed(value):
                return value
            secret = self._vault.seal(orjson.dumps(value), _about(template, place.written))
            return {SEALED: base64.b64encode(secret).decode("ascii")}

        return attrs.evolve(
            template, document=with_secrets(template.document, self._models(template.tenant), seal)
        )

    def _opened(self, template: BootstrapTemplate) -> BootstrapTemplate:
        members = template.document.get("write")
        if not isinstance(members, Mapping):
            return template
        unseal = partial(self._unsealed, template)
        try:
            write = {member: unseal(place_of(member), body) for member, body in members.items()}
        except (SettingsError, ValueError) as error:
            place = f"bootstrap configuration {template.name!r} of tenant {template.tenant!r}"
            raise SettingsError(f"{place}: {error}") from error
        return attrs.evolve(template, document={**template.document, "write": write})

    def _unsealed(self, template: BootstrapTemplate, place: tuple[str, ...], value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        if _is_sealed(value):
            secret = base64.b64decode(str(value[SEALED]))
            return orjson.loads(self._vault.open(secret, _about(template, place)))
        return {key: self._unsealed(template, (*place, key), member) for key, member in value.items()}


def _is_sealed(value: Any) -> bool:
    return isinstance(value, Mapping) and value.keys() == {SEALED}


def _about(template: BootstrapTemplate, place: tuple[str, ...]) -> bytes:
    """What a secret belongs to, without a doubt where one name ends and the next begins."""
    return orjson.dumps(["bootstrap", template.tenant, template.name, *place])
