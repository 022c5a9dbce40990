"""``Templates``: which client is to have what. Kept in the inventory, checked before."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

import attrs

from lwm2m_engine.bootstrap import BootstrapConfig
from lwm2m_engine.bootstrap.checks import check
from lwm2m_engine.bootstrap.secrets import restored
from lwm2m_engine.bootstrap.template import config_of, is_personal
from lwm2m_engine.coap import Code, Peer
from lwm2m_engine.errors import RequestError
from lwm2m_engine.messages.bootstrap import BootstrapRequest
from lwm2m_engine.model.view import ModelView
from lwm2m_server.bootstrap.sealing import SealedTemplates
from lwm2m_server.store.errors import Conflict
from lwm2m_server.store.records import BootstrapTemplate

EXAMPLE = "example"
"""The client a template for many is tried with, where nothing of its pattern is a name."""
_WILD = "*?["


class Templates:
    """Satisfies the ``Configs`` of the library.

    A client gets a template of its tenant: the one that names it, else the one with the longest pattern that
    fits its name.
    """

    def __init__(
        self,
        kept: SealedTemplates,
        key: Callable[[str, str], bytes],
        models: Callable[[str], ModelView],
        tenant_of: Callable[[str], str],
        admit: Callable[[str, Peer], None] = lambda endpoint, peer: None,
        otherwise: Callable[[str], BootstrapTemplate | None] = lambda endpoint: None,
    ) -> None:
        """``key`` gives that of a client by its name in templates, ``models`` those in force for a
        tenant, ``tenant_of`` whose a client is.

        ``admit`` raises ``RequestError`` for who is not the client it says it is. ``otherwise`` gives what a
        client gets that no template is for, or an ``ExceptionGroup`` of ``ValueRejected``. Raises
        ``SettingsError`` if secrets were sealed with another key.
        """
        self._otherwise = otherwise
        self._kept, self._key, self._models = kept, key, models
        self._tenant_of, self._admit = tenant_of, admit
        self._read(kept.all())

    def _read(self, found: Sequence[BootstrapTemplate]) -> None:
        """Asked for by every client, changed by people."""
        self._found = found
        rows = [(one.tenant, name, one) for one in found for name in one.endpoints]
        self._named = {(tenant, name): one for tenant, name, one in rows if not _is_pattern(name)}
        self._patterns: dict[str, list[tuple[str, BootstrapTemplate]]] = {}
        for tenant, name, one in sorted(rows, key=lambda row: (-len(row[1]), row[1])):
            if _is_pattern(name):
                self._patterns.setdefault(tenant, []).append((name, one))
        self._shared: dict[tuple[str, str], tuple[ModelView, BootstrapConfig]] = {}

    def _renewed(self) -> None:
        """A tenant that is gone took its templates along."""
        found = self._kept.all()
        if found is not self._found:
            self._read(found)

    # --- for clients -------------------------------------------------------------------------------

    def template(self, endpoint: str) -> BootstrapTemplate | None:
        """What there is for a client."""
        self._renewed()
        tenant = self._tenant_of(endpoint)
        named = self._named.get((tenant, endpoint))
        if named is not None:
            return named
        patterns = self._patterns.get(tenant, ())
        return next((one for pattern, one in patterns if fnmatchcase(endpoint, pattern)), None)

    def config(self, request: BootstrapRequest, peer: Peer) -> BootstrapConfig:
        """Raises ``RequestError``."""
        self._admit(request.endpoint, peer)
        endpoint = request.endpoint
        template = self.template(endpoint)
        try:
            found = self._own(endpoint) if template is None else self._config(template, endpoint)
        except ExceptionGroup as group:
            # It was checked when it was kept; the models may be others since.
            raise RequestError(Code.INTERNAL_SERVER_ERROR, str(group.exceptions[0])) from group
        if found is None:
            raise RequestError(Code.BAD_REQUEST, "there is no bootstrap configuration for this client")
        return found

    def _own(self, endpoint: str) -> BootstrapConfig | None:
        """Of a client that no template is for."""
        template = self._otherwise(endpoint)
        if template is None:
            return None
        models = self._models(template.tenant)
        return attrs.evolve(self.checked(template, endpoint), models=models)

    def _config(self, template: BootstrapTemplate, endpoint: str) -> BootstrapConfig:
        """Worked out once for all clients, if it is the same for all of them."""
        key, models = (template.tenant, template.name), self._models(template.tenant)
        shared = self._shared.get(key)
        if shared is not None and shared[0] is models:
            return shared[1]
        config = attrs.evolve(self.filled(template.tenant, template.document, endpoint), models=models)
        if not is_personal(template.document):
            self._shared[key] = models, config
        return config

    # --- for people --------------------------------------------------------------------------------

    def all(self, tenant: str) -> Sequence[BootstrapTemplate]:
        return [one for one in self._kept.all() if one.tenant == tenant]

    def named(self, tenant: str, name: str) -> BootstrapTemplate | None:
        return next((one for one in self.all(tenant) if one.name == name), None)

    async def put(
        self, tenant: str, name: str, endpoints: Sequence[str], document: Mapping[str, Any]
    ) -> BootstrapTemplate:
        """Keep it. Raises an ``ExceptionGroup`` of ``ValueRejected``, ``Conflict``, ``CommitFailed``."""
        template = self.draft(tenant, name, endpoints, document)
        self.checked(template, example(template))
        taken = {endpoint for one in self.all(tenant) if one.name != name for endpoint in one.endpoints}
        for endpoint in template.endpoints:
            if endpoint in taken:
                raise Conflict(f"there is another bootstrap configuration for {endpoint!r}")
        await self._kept.put(template)
        return template

    def draft(
        self, tenant: str, name: str, endpoints: Sequence[str], document: Mapping[str, Any]
    ) -> BootstrapTemplate:
        """As it would be kept: ``***`` stands for the secret that the present one of this name has."""
        known = self.named(tenant, name)
        if known is not None:
            document = restored(document, known.document, self._models(tenant))
        return BootstrapTemplate(tenant, name, tuple(endpoints) or (name,), dict(document))

    async def remove(self, tenant: str, name: str) -> None:
        await self._kept.remove(tenant, name)

    def is_for(self, template: BootstrapTemplate, endpoint: str) -> bool:
        """Whether a client may have got it."""
        fits = any(name == endpoint or fnmatchcase(endpoint, name) for name in template.endpoints)
        return fits and self._tenant_of(endpoint) == template.tenant

    def checked(self, template: BootstrapTemplate, endpoint: str) -> BootstrapConfig:
        """For a client. Raises an ``ExceptionGroup`` of ``ValueRejected``."""
        config = self.filled(template.tenant, template.document, endpoint)
        check(config, self._models(template.tenant))
        return config

    def filled(self, tenant: str, document: Mapping[str, Any], endpoint: str) -> BootstrapConfig:
        return config_of(document, endpoint, partial(self._key, endpoint), self._models(tenant))


def example(template: BootstrapTemplate) -> str:
    """A client that the template is for."""
    names = [name for name in template.endpoints if not _is_pattern(name)]
    return names[0] if names else template.endpoints[0].replace("*", EXAMPLE)


def _is_pattern(name: str) -> bool:
    return any(letter in name for letter in _WILD)
