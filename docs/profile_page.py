"""The reference page of device profiles, read off their JSON Schema and what holds where nothing is said."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from lwm2m_server.profiles.document import CLIENT, OBSERVED, SERVER
from lwm2m_server.profiles.schema import schema

HEAD = """\
# Device profiles

A profile is a JSON document:

```json
{"name": "meters", "transportType": "LWM2M", "profileData": {"transportConfiguration": {}}}
```

`GET /api/v1/profiles/{name}` gives it whole, `POST /api/v1/profiles` takes it; `profileData` or the
transport configuration may come alone. The JSON Schema (draft 2020-12) is at `/api/v1/profiles/schema`.
What is null is as if it were not there. Members that other platforms put around a transport configuration
(identifiers, alarms, provisioning, rule chains …) are left out, which the answer notes; inside it a member
that is not known is refused, with the nearest one that is.

A path is `/3/0/9`, with a version `/3_1.2/0/9`, or with `*` for every instance that a device has,
`/3303/*/5700`. The version is kept and makes no difference: a device that announces another one is meant as
well. What is said of one instance goes before what is said of `*`.

## transportConfiguration

| member | what it is |
|---|---|
| `type` | `LWM2M` |
| `observeAttr` | what each Resource is for |
| `bootstrapServerUpdateEnable` | whether the Bootstrap-Server in `bootstrap` is written to devices |
| `bootstrap` | the servers that devices are told of, at most 16 |
| `clientLwM2mSettings` | other settings of devices |

"""

OBSERVED_FOOT = """
A Resource that is observed is an attribute or telemetry, or both; an Object Instance or Object that is
observed as a whole has one in it. All that a device tells is stored, whether a profile names it or not;
`attribute` and `telemetry` say what is read when a device registers, unless it is observed.

A key name means one Resource; one that several have is noted, and these are told apart by path. Without
one, a Resource goes by the name of its definition in camelCase (spaces, `-` and `_` divide words):
`batteryLevel` for Battery Level; of an instance above 0 the id follows, `batteryLevel1`. So do instances of
a path with `*`. A Resource without a definition goes by its path.

Of the attributes, `pmin`, `pmax`, `epmin`, `epmax` and `hqmax` are whole numbers, `gt`, `lt` and `st`
numbers, `edge` and `con` 0 or 1; on which Objects, instances and Resources they may stand:
[Attributes](attributes.md). Those of an Object and of its instances count for their Resources, and are
checked together.

| strategy | requests |
|---|---|
| `SINGLE` (0) | an Observe for each Resource |
| `COMPOSITE_ALL` (1) | one Observe-Composite |
| `COMPOSITE_BY_OBJECT` (2) | an Observe-Composite for each Object |

"""

SERVER_FOOT = """
`bootstrap` may also be the older object with `servers` (`shortId`, `lifetime`, `defaultMinPeriod`,
`notifIfDisabled`, `binding`), `lwm2mServer` and `bootstrapServer` (`host`, `port`, `serverId`,
`securityMode`, `serverPublicKey`, `clientHoldOffTime`, `bootstrapServerAccountTimeout`). It is shown as a
list.

A device is given these servers when it bootstraps, if no [bootstrap configuration](../how-to/bootstrap.md)
is for it. How it proves itself to them is said by its credentials. `clientHoldOffTime` is written to
`/0/x/11`, `bootstrapServerAccountTimeout` to `/0/x/12`. No secret is part of a profile. Servers may be
anybody's, on any port.

"""

CLIENT_FOOT = """
| `clientOnlyObserveAfterConnect` | when a device has registered |
|---|---|
| 1, true | observe; read attributes and telemetry that are not observed |
| 2, false | read all Object Instances, then observe |
| 3 | read all attributes and telemetry, then observe |

`PSM` is with `psmActivityTimer`, `E_DRX` with `edrxCycle` and `pagingTransmissionWindow`. What was set for
a device itself goes before (`lwm2m devices power`).

`defaultObjectIDVer` counts at the next Register, for Objects that a device announces without a version; with
1.0, those of LwM2M itself are of the device's enabler version, as LwM2M has it.

## Assignment

A device has the profile that was assigned to it by name, else that of the first of its device groups (by
name) that has one, else that of the first rule it fits, else the default of its tenant. A rule has a
`priority`, the lowest is asked first, and one or more of the patterns `endpoint`, `manufacturer` and
`model`, which all have to fit; `*` is any text and `?` any character. Manufacturer and model are `/3/0/0`
and `/3/0/1` as the device told them last. A profile that is renamed stays assigned.
"""


def profiles_page() -> str:
    defs = schema()["$defs"]
    observed = defs["observeAttr"]["properties"]
    return "".join(
        (
            HEAD,
            *_table("observeAttr", observed, OBSERVED, defs),
            OBSERVED_FOOT,
            *_table("Entries of bootstrap", defs["server"]["properties"], SERVER, defs),
            SERVER_FOOT,
            *_table("clientLwM2mSettings", defs["clientLwM2mSettings"]["properties"], CLIENT, defs),
            CLIENT_FOOT,
        )
    )


def _table(
    title: str, members: Mapping[str, Any], defaults: Mapping[str, Any], defs: Mapping[str, Any]
) -> Iterator[str]:
    yield f"## {title}\n\n| member | value | default |\n|---|---|---|\n"
    required = defs["server"]["required"] if title.startswith("Entries") else ()
    for name, member in members.items():
        if member.get("deprecated"):
            continue
        what = defs[member["$ref"].rpartition("/")[2]] if "$ref" in member else member
        shown = "" if name in required else f"`{json.dumps(defaults[name])}`"
        yield f"| `{name}` | {what['description']} | {shown} |\n"
