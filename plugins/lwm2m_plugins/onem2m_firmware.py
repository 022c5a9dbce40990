"""oneM2M firmware from LwM2M Object 5 (Firmware Update), and the update on command (TS-0005, 6.3)."""

from __future__ import annotations

from collections.abc import Iterator

from lwm2m_engine import Action, Catalog, Mapping, Rule, When, hookimpl
from lwm2m_engine.mapping.managed import AttributeValue
from lwm2m_plugins._status import FAILURE, IN_PROCESS, SUCCESSFUL, UNINITIALIZED, action_status, telling

IDLE, DOWNLOADED = 0, 2
UPDATED, DEFERRED = 1, 11
FAILURES = range(2, 11)


def update_status(state: int, result: int) -> AttributeValue:
    """From State and Update Result."""
    if result in FAILURES:
        return action_status("update", FAILURE)
    if state != IDLE or result == DEFERRED:
        return action_status("update", IN_PROCESS)
    return action_status("update", SUCCESSFUL if result == UPDATED else UNINITIALIZED)


def may_update(state: int | None, result: int | None) -> bool | None:
    """An update has to wait for the download, and is off when that fails."""
    if state == DOWNLOADED:
        return True
    return False if result in FAILURES else None


@hookimpl
def lwm2m_mappings(catalog: Catalog) -> Iterator[Mapping]:
    yield Mapping(
        "m2m:firmware",
        name="firmware",
        rules=[
            Rule("/5/0/pkg_version", "version"),
            Rule("/5/0/pkg_name", "firmwareName"),
            Rule("/5/0/package_uri", "URL", write=True),
            Rule(("/5/0/state", "/5/0/update_result"), "updateStatus", convert=update_status),
        ],
        actions=[
            Action(
                "/5/0/update",
                "update",
                status="updateStatus",
                tell=telling("update"),
                when=When(("/5/0/state", "/5/0/update_result"), may_update),
            )
        ],
        examples=[
            (
                {"/5/0/6": "modem", "/5/0/7": "2.1", "/5/0/1": "http://example.com/2.1.bin"},
                {"firmwareName": "modem", "version": "2.1", "URL": "http://example.com/2.1.bin"},
            ),
            ({"/5/0/3": 0, "/5/0/5": 0}, {"updateStatus": {"acn": "update", "sus": 0}}),
            ({"/5/0/3": 1, "/5/0/5": 0}, {"updateStatus": {"acn": "update", "sus": 3}}),
            ({"/5/0/3": 0, "/5/0/5": 1}, {"updateStatus": {"acn": "update", "sus": 1}}),
            ({"/5/0/3": 0, "/5/0/5": 8}, {"updateStatus": {"acn": "update", "sus": 2}}),
        ],
        commands=[
            ({"URL": "http://example.com/2.2.bin"}, ["PUT /5/0/1 http://example.com/2.2.bin"]),
            ({"update": True}, ["OBSERVE /5/0/3", "OBSERVE /5/0/5", "POST /5/0/2"]),
        ],
    )
