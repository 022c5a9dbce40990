"""oneM2M software, one for each instance of LwM2M Object 9 (Software Management)."""

from __future__ import annotations

from collections.abc import Iterator

from lwm2m_engine import Action, Catalog, Mapping, Rule, When, hookimpl
from lwm2m_engine.mapping.managed import AttributeValue
from lwm2m_plugins._status import FAILURE, IN_PROCESS, SUCCESSFUL, UNINITIALIZED, action_status, telling

INITIAL, DELIVERED, STATE_INSTALLED = 0, 3, 4
NOTHING, RESULT_INSTALLED, FIRST_FAILURE = 0, 2, 50


def install_status(state: int, result: int) -> AttributeValue:
    """From Update State and Update Result."""
    if result >= FIRST_FAILURE:
        status = FAILURE
    elif state == STATE_INSTALLED or result == RESULT_INSTALLED:
        status = SUCCESSFUL
    else:
        status = UNINITIALIZED if (state, result) == (INITIAL, NOTHING) else IN_PROCESS
    return action_status("install", status)


def may_install(state: int | None, result: int | None) -> bool | None:
    """An installation has to wait until the package is delivered, and is off when that fails."""
    if state == DELIVERED:
        return True
    return False if result is not None and result >= FIRST_FAILURE else None


def active_status(active: bool) -> AttributeValue:
    return action_status("activate" if active else "deactivate", SUCCESSFUL)


@hookimpl
def lwm2m_mappings(catalog: Catalog) -> Iterator[Mapping]:
    progress = ("/9/*/update_state", "/9/*/update_result")
    yield Mapping(
        "m2m:software",
        name="software-{instance}",
        rules=[
            Rule("/9/*/pkg_name", "softwareName"),
            Rule("/9/*/pkg_version", "version"),
            Rule("/9/*/package_uri", "URL", write=True),
            Rule(progress, "installStatus", convert=install_status),
            Rule("/9/*/activation_state", "activeStatus", convert=active_status),
        ],
        actions=[
            Action(
                "/9/*/install",
                "install",
                status="installStatus",
                tell=telling("install"),
                when=When(progress, may_install),
            ),
            Action(
                "/9/*/uninstall",
                "uninstall",
                status="installStatus",
                tell=telling("uninstall", done=SUCCESSFUL),
            ),
            Action(
                "/9/*/activate", "activate", status="activeStatus", tell=telling("activate", done=SUCCESSFUL)
            ),
            Action(
                "/9/*/deactivate",
                "deactivate",
                status="activeStatus",
                tell=telling("deactivate", done=SUCCESSFUL),
            ),
        ],
        examples=[
            (
                {"/9/3/0": "player", "/9/3/1": "7", "/9/3/3": "http://example.com/p", "/9/3/12": True},
                {
                    "softwareName": "player",
                    "version": "7",
                    "URL": "http://example.com/p",
                    "activeStatus": {"acn": "activate", "sus": 1},
                },
            ),
            ({"/9/3/7": 0, "/9/3/9": 0}, {"installStatus": {"acn": "install", "sus": 0}}),
            ({"/9/3/7": 3, "/9/3/9": 3}, {"installStatus": {"acn": "install", "sus": 3}}),
            ({"/9/3/7": 4, "/9/3/9": 2}, {"installStatus": {"acn": "install", "sus": 1}}),
            ({"/9/3/7": 0, "/9/3/9": 58}, {"installStatus": {"acn": "install", "sus": 2}}),
            ({"/9/3/12": False}, {"activeStatus": {"acn": "deactivate", "sus": 1}}),
        ],
        commands=[
            ({"URL": "http://example.com/p"}, ["PUT /9/0/3 http://example.com/p"]),
            ({"install": True}, ["OBSERVE /9/0/7", "OBSERVE /9/0/9", "POST /9/0/4"]),
            ({"uninstall": True}, ["POST /9/0/6"]),
            ({"activate": True}, ["POST /9/0/10"]),
            ({"deactivate": True}, ["POST /9/0/11"]),
        ],
    )
