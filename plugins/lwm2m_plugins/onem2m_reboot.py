"""oneM2M reboot: Reboot and Factory Reset of LwM2M Object 3 (Device). Off by default."""

from __future__ import annotations

from collections.abc import Iterator

from lwm2m_engine import Action, Catalog, Mapping, hookimpl

OFF_BY_DEFAULT = True


@hookimpl
def lwm2m_mappings(catalog: Catalog) -> Iterator[Mapping]:
    yield Mapping(
        "m2m:reboot",
        name="reboot",
        actions=[Action("/3/0/reboot", "reboot"), Action("/3/0/factory_reset", "factoryReset")],
        commands=[({"reboot": True}, ["POST /3/0/4"]), ({"factoryReset": True}, ["POST /3/0/5"])],
    )
