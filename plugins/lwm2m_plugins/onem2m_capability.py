"""oneM2M deviceCapability, one for each instance of LwM2M Object 15 (DevCapMgmt)."""

from __future__ import annotations

from collections.abc import Iterator

from lwm2m_engine import Action, Catalog, Mapping, Rule, hookimpl
from lwm2m_plugins._status import SUCCESSFUL, telling

STATUS = "capabilityActionStatus"


@hookimpl
def lwm2m_mappings(catalog: Catalog) -> Iterator[Mapping]:
    yield Mapping(
        "m2m:deviceCapability",
        name="capability-{instance}",
        rules=[
            Rule("/15/*/property", "capabilityName"),
            Rule("/15/*/attached", "attached"),
            Rule("/15/*/enabled", "currentState"),
        ],
        actions=[
            # They read true: oneM2M says so of attributes that can be triggered.
            Action(
                "/15/*/op_enable",
                "enable",
                status=STATUS,
                tell=telling("enable", done=SUCCESSFUL),
                shows=True,
            ),
            Action(
                "/15/*/op_disable",
                "disable",
                status=STATUS,
                tell=telling("disable", done=SUCCESSFUL),
                shows=True,
            ),
        ],
        examples=[
            (
                {"/15/2/0": "camera", "/15/2/3": True, "/15/2/4": False},
                {"capabilityName": "camera", "attached": True, "currentState": False},
            )
        ],
        commands=[
            ({"enable": True}, ["POST /15/0/5"]),
            ({"disable": True}, ["POST /15/0/6"]),
        ],
    )
