"""Names of oneM2M attributes and resource types (TS-0004, TS-0022), as two tables everything reads.

Stores and rules use the short names; the long ones exist on the wire only. A later release, or another
vendor's type, is a line in one of the tables.
"""

from __future__ import annotations

import base64
import difflib
from collections.abc import Container, Iterable, Mapping
from enum import Enum
from typing import Any, Final

import attrs

from lwm2m_engine.values import ObjLink, Value


class UnknownName(LookupError):
    """No such attribute, or no such type; the text names the nearest one that exists."""

    def __init__(self, what: str, name: str, known: Iterable[str]) -> None:
        nearest = difflib.get_close_matches(name, list(known), n=1)
        hint = f"; did you mean {nearest[0]}?" if nearest else ""
        super().__init__(f"{name} is no {what}{hint}")


class Kind(Enum):
    """What JSON an attribute takes."""

    TEXT = "text"
    TEXTS = "texts"
    TEXT_OR_TEXTS = "text|texts"
    UINT = "uint"
    UINTS = "uints"
    NUMBER = "number"
    BOOLEAN = "boolean"
    TIME = "time"
    ANY = "any"


@attrs.frozen(slots=True)
class Attribute:
    """One attribute: its short name, its long name and its kind."""

    short: str
    long: str
    kind: Kind


class Access(Enum):
    """Whether a client may give an attribute (TS-0004: optionality at CREATE and UPDATE)."""

    REQUIRED = "!"
    REQUIRED_ONCE = "!="
    OPTIONAL = ""
    ONCE = "="
    """At CREATE only."""
    READ_ONLY = "-"


@attrs.frozen(slots=True)
class Type:
    """A resource type, or a specialisation of mgmtObj.

    ``children`` are the ``ty`` that may lie below it. ``attributes`` are its own ones, besides those
    that every resource has.
    """

    ty: int
    key: str
    """Root key in short form: ``m2m:nod``."""
    long: str
    """Root key in long form: ``node``."""
    attributes: Mapping[str, Access]
    children: frozenset[int] = frozenset()
    mgd: int | None = None
    """``mgmtDefinition`` of a specialisation of mgmtObj."""
    aliases: tuple[str, ...] = ()
    """Other root keys that mean this type."""


_ATTRIBUTES: Final = """
ty     resourceType             uint
ri     resourceID               text
rn     resourceName             text
pi     parentID                 text
ct     creationTime             time
lt     lastModifiedTime         time
et     expirationTime           time
lbl    labels                   texts
cr     creator                  text
st     stateTag                 uint
acpi   accessControlPolicyIDs   texts
daci   dynamicAuthorizationConsultationIDs texts
at     announceTo               texts
aa     announcedAttribute       texts
ast    announceSyncType         uint
cstn   custodian                text
loc    location                 text

csi    CSE-ID                   text
cst    cseType                  uint
srt    supportedResourceType    uints
srv    supportedReleaseVersions texts
csz    contentSerialization     texts
poa    pointOfAccess            texts
poah   poah                     texts
api    App-ID                   text
aei    AE-ID                    text
apn    appName                  text
rr     requestReachability      boolean
nl     nodeLink                 text
or     ontologyRef              text

mni    maxNrOfInstances         uint
mbs    maxByteSize              uint
mia    maxInstanceAge           uint
cni    currentNrOfInstances     uint
cbs    currentByteSize          uint
disr   disableRetrieval         boolean
con    content                  any
cnf    contentInfo              text
cs     contentSize              uint

ni     nodeID                   text
hcl    hostedCSELink            text
hael   hostedAELinks            texts
hsl    hostedServiceLinks       texts
mgca   mgmtClientAddress        text|texts
rms    roamingStatus            boolean
nid    networkID                text
nty    nodeType                 uint

mgd    mgmtDefinition           uint
obis   objectIDs                texts
obps   objectPaths              texts
dc     description              text
mgs    mgmtSchema               text
cmlk   mgmtLink                 any

vr     version                  text
fwn    firmwareName             text
url    URL                      text
uds    updateStatus             any
ud     update                   boolean
swn    softwareName             text
ins    installStatus            any
acts   activeStatus             any
in     install                  boolean
un     uninstall                boolean
act    activate                 boolean
dea    deactivate               boolean
mma    memAvailable             uint
mmt    memTotal                 uint
ant    areaNwkType              text
ldv    listOfDevices            texts
dvd    devId                    text
dvt    devType                  text
awi    areaNwkId                text
sli    sleepInterval            uint
sld    sleepDuration            uint
ss     devStatus                text
lnh    listOfNeighbors          texts
btl    batteryLevel             uint
bts    batteryStatus            uint
dlb    deviceLabel              text|texts
man    manufacturer             text
mod    model                    text
dty    deviceType               text
mfdl   manufacturerDetailsLink  text
mfd    manufacturingDate        text
smod   subModel                 text
dvnm   deviceName               text
fwv    fwVersion                text
swv    swVersion                text
hwv    hwVersion                text
osv    osVersion                text
cnty   country                  text
syst   systemTime               text
spur   supportURL               text
purl   presentationURL          text
ptl    protocol                 texts
can    capabilityName           text
att    attached                 boolean
cas    capabilityActionStatus   any
ena    enable                   boolean
dis    disable                  boolean
cus    currentState             boolean
rbo    reboot                   boolean
far    factoryReset             boolean
lgt    logTypeId                uint
lgd    logData                  text
lgst   logStatus                uint
lga    logStart                 boolean
lgo    logStop                  boolean
ssid   ssid                     text
wcrds  wifiCredentials          any
maca   macAddress               text
chanl  channel                  text
cons   connectionStatus         uint
scan   scan                     boolean
scanr  scanResult               any
trdst  toggleRadioStatus        boolean
rdst   radioStatus              boolean
pur    purpose                  text
crid   credentialID             text
crse   credentialSecret         text
crtk   credentialToken          text
imsi   imsi                     text
icid   iccid                    text
sist   simStatus                uint
sity   simType                  uint
spn    serviceProviderName      text
cnb    cellularNetworkBearer    uint
rss    radioSignalStrength      number
liqu   linkQuality              number
ipad   ipAddresses              texts
ripa   routerIPAddresses        texts
apna   apn                      text
ceid   cellID                   uint
smnc   smnc                     uint
smcc   smcc                     uint
lac    lac                      uint
coel   coverageEnhancementLevel uint

ch     childResource            any
rrf    resourceRef              any
nm     name                     text
typ    type                     uint
val    value                    text
spid   specializationID         uint
"""

# Behind a name its ``Access``: "!" a client must give it, "=" at CREATE only, "-" never from a client.
_TYPES: Final = """
5  m2m:cb  CSEBase         | csi- cst- srt- srv- csz-
2  m2m:ae  AE              | api!= aei- apn rr srv poa poah nl csz or
3  m2m:cnt container       | cr- st- mni mbs mia cni- cbs- disr or
4  m2m:cin contentInstance | cr- st- con! cnf cs- et
14 m2m:nod node            | ni! hcl hael hsl mgca rms- nid- nty
"""

_CHILDREN: Final = {
    5: frozenset({1, 2, 3, 9, 10, 14, 16, 17, 18, 23, 28, 29}),
    2: frozenset({1, 3, 9, 10, 15, 23, 28, 29}),
    3: frozenset({3, 4, 23, 28, 29}),
    4: frozenset(),
    14: frozenset({13, 18, 23, 28}),
}

_MGMT_COMMON: Final = "mgd= obis= obps= dc mgs= cmlk"
_MGMT: Final = """
1001 m2m:fwr firmware | vr! fwn! url! uds- ud!
1002 m2m:swr software | vr! swn! url! ins- acts- in un act dea
1003 m2m:mem memory | mma! mmt!
1004 m2m:ani areaNwkInfo | ant! ldv
1005 m2m:andi areaNwkDeviceInfo | dvd! dvt! awi! sli sld ss lnh
1006 m2m:bat battery | btl! bts!
1007 m2m:dvi deviceInfo | dlb! man! mod! dty! mfdl mfd smod dvnm fwv swv hwv osv cnty loc syst spur purl ptl
1008 m2m:dvc deviceCapability | can! att! cas! ena dis cus!
1009 m2m:rbo reboot | rbo far
1010 m2m:evl eventLog | lgt! lgd! lgst! lga lgo
1028 dcfg:wific wifiClient | ssid! wcrds maca chanl cons scan! scanr ud uds trdst rdst
1029 m2m:crds credentials | pur crid crse crtk | dcfg:crds
1030 dcfg:sim SIM | imsi icid! sist sity spn
1031 dcfg:mnwk mobileNetwork | cnb! rss liqu ipad ripa apna ceid smnc smcc lac coel
"""


def _attribute(line: str) -> Attribute:
    short, long, kind = line.split()
    return Attribute(short, long, Kind(kind))


def _accesses(names: str) -> dict[str, Access]:
    return {name.rstrip("!=-"): Access(name.lstrip("abcdefghijklmnopqrstuvwxyz")) for name in names.split()}


def _plain_type(line: str) -> Type:
    head, names = line.split("|")
    ty, key, long = head.split()
    return Type(int(ty), key, long, _accesses(names), _CHILDREN[int(ty)])


def _mgmt_type(line: str) -> Type:
    head, names, *aliases = line.split("|")
    mgd, key, long = head.split()
    attributes = _accesses(f"{_MGMT_COMMON} {names}")
    return Type(13, key, long, attributes, frozenset({23}), int(mgd), tuple(a.strip() for a in aliases))


def _lines(table: str) -> list[str]:
    return [line for line in table.splitlines() if line.strip()]


ATTRIBUTES: Final = {row.short: row for row in map(_attribute, _lines(_ATTRIBUTES))}
"""By short name."""

TYPES: Final = (*map(_plain_type, _lines(_TYPES)), *map(_mgmt_type, _lines(_MGMT)))

LONG: Final = {row.short: row.long for row in ATTRIBUTES.values()}
_OF_LONG: Final = {row.long: row.short for row in ATTRIBUTES.values()}
SHORT: Final = _OF_LONG | {short: short for short in ATTRIBUTES}
"""Short name of either form, where the type is not known."""

_BY_KEY: Final = {key: row for row in TYPES for key in (row.key, row.long, *row.aliases)} | {
    f"m2m:{row.long}": row for row in TYPES
}
KNOWN_TYPES: Final = frozenset().union(*_CHILDREN.values())
"""Every ``ty`` that oneM2M lets be created somewhere in this tree."""
BY_TY: Final = {row.ty: row for row in TYPES if row.mgd is None}
BY_MGD: Final = {row.mgd: row for row in TYPES if row.mgd is not None}


def type_of_key(key: str) -> Type | None:
    """The type with this root key in either form: ``m2m:dvi``, ``deviceInfo``, ``m2m:deviceInfo``."""
    return _BY_KEY.get(key)


def short_name(name: str, legal: Container[str]) -> str | None:
    """The one of the ``legal`` short names that a name in either form stands for.

    ``apn`` is an application's name or, in long form, an attribute of mobileNetwork.
    """
    if name in legal:
        return name
    short = _OF_LONG.get(name)
    return short if short is not None and short in legal else None


def long_key(key: str) -> str:
    """A root key in long form; a foreign one stays what it is."""
    found = _BY_KEY.get(key)
    return found.long if found is not None else key


@attrs.frozen(slots=True)
class Managed:
    """A managed resource as an mgmtObj: root key, mgmtDefinition and attributes by short name."""

    key: str
    mgd: int
    attributes: Mapping[str, Any]


def managed(kind: str, attributes: Mapping[str, Value]) -> Managed:
    """What a mapping plugin wrote (``m2m:battery``, ``{"batteryLevel": 72}``) as an mgmtObj.

    A kind of a namespace other than ``m2m`` and ``dcfg`` is self-defined (mgmtDefinition 0) and keeps
    its attribute names. Raises ``UnknownName``.
    """
    found = _BY_KEY.get(kind)
    if found is not None and found.mgd is not None:
        return Managed(found.key, found.mgd, {_own(found, n): _json(v) for n, v in attributes.items()})
    if found is not None or kind.partition(":")[0] in ("m2m", "dcfg", kind):
        raise UnknownName("management object", kind, (f"m2m:{row.long}" for row in BY_MGD.values()))
    return Managed(kind, 0, {SHORT.get(name, name): _json(value) for name, value in attributes.items()})


def _own(row: Type, name: str) -> str:
    short = short_name(name, row.attributes)
    if short is None:
        raise UnknownName(f"attribute of {row.long}", name, (LONG[own] for own in row.attributes))
    return short


def _json(value: Value) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(value) if isinstance(value, ObjLink) else value
