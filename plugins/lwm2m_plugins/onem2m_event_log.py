"""oneM2M eventLog, one for each instance of LwM2M Object 20 (Event Log)."""

from __future__ import annotations

from collections.abc import Iterator

from lwm2m_engine import Action, Catalog, Mapping, Rule, hookimpl

EVENT = 3
LOG_TYPES = range(1, 6)
"""system, security, event, trace, panic: LogClass counts them alike."""
STARTED, STOPPED, ERROR = 1, 2, 5


def log_type(log_class: int) -> int:
    return log_class if log_class in LOG_TYPES else EVENT


def log_class(type_id: int) -> int:
    if type_id not in LOG_TYPES:
        raise ValueError("it is 1 to 5: system, security, event, trace or panic")
    return type_id


def log_status(bits: int) -> int:
    """Bit 0 says that logging has stopped, bit 2 that something went wrong."""
    if bits & 4:
        return ERROR
    return STOPPED if bits & 1 else STARTED


@hookimpl
def lwm2m_mappings(catalog: Catalog) -> Iterator[Mapping]:
    yield Mapping(
        "m2m:eventLog",
        name="event-log-{instance}",
        rules=[
            Rule("/20/*/log_class", "logTypeId", convert=log_type, write=log_class),
            Rule("/20/*/log_data", "logData"),
            Rule("/20/*/log_status", "logStatus", convert=log_status),
        ],
        actions=[Action("/20/*/log_start", "logStart"), Action("/20/*/log_stop", "logStop")],
        examples=[
            (
                {"/20/1/4010": 2, "/20/1/4014": b"intruder", "/20/1/4013": 0},
                {"logTypeId": 2, "logData": b"intruder", "logStatus": 1},
            ),
            ({"/20/1/4010": 0, "/20/1/4013": 1}, {"logTypeId": 3, "logStatus": 2}),
            ({"/20/1/4013": 4}, {"logStatus": 5}),
        ],
        commands=[
            ({"logTypeId": 2, "logStart": True}, ["PUT /20/0/4010 2", "POST /20/0/4011"]),
            ({"logStop": True}, ["POST /20/0/4012"]),
        ],
    )
