"""The tables of oneM2M (TS-0001, 9.6; TS-0004, 7.4 and annex D): attributes, resource types, and who
may give what. ``names`` reads them; a later release, or another vendor's type, is a line here.
"""

from __future__ import annotations

from typing import Final

ATTRIBUTES: Final = """
ty     resourceType             uint
ri     resourceID               text
rn     resourceName             text
pi     parentID                 text
ct     creationTime             time
lt     lastModifiedTime         time
et     expirationTime           time
lbl    labels                   labels
cr     creator                  text
st     stateTag                 uint
acpi   accessControlPolicyIDs   texts
daci   dynamicAuthorizationConsultationIDs texts
at     announceTo               texts
aa     announcedAttribute       texts
ast    announceSyncType         uint
cstn   custodian                text
loc    location                 any

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
esi    e2eSecInfo               any
tren   triggerEnable            boolean
ape    activityPatternElements  any

mni    maxNrOfInstances         uint
mbs    maxByteSize              uint
mia    maxInstanceAge           uint
cni    currentNrOfInstances     uint
cbs    currentByteSize          uint
disr   disableRetrieval         boolean
nu     notificationURI          text|texts
su     subscriberURI            text
enc    eventNotificationCriteria object
exc    expirationCounter        uint
nct    notificationContentType  uint
bn     batchNotify              object
pn     pendingNotification      uint
ln     latestNotify             boolean
psn    preSubscriptionNotify    uint
nsp    notificationStoragePriority uint
nec    notificationEventCat     any
rl     rateLimit                object
gpi    groupID                  text
nfu    notificationForwardingURI text
acrs   associatedCrossResourceSub texts
ma     maxAge                   any
nse    notificationStatsEnable  boolean

con    content                  any
cnf    contentInfo              text
cs     contentSize              uint
conr   contentRef               any
dcnt   deletionCnt              uint
dgt    dataGenerationTime       time
li     locationID               text
cnd    containerDefinition      text
fcied  fcinEnabled              boolean

tsn    tsn                      text
opern  operation                uint
reqLt  requestList              any
noRNe  nodeResourceName         text
ICCID  ICCID                    text
profe  profile                  text
nCr    nodeCredentials          texts
nDGr   nodeDeviceGroups         texts
ndvi   ndvi                     object
reqRD  requestResourceID        text
resSs  responseStatus           uint
geEMe  generalErrorMessage      text
inEMs  individualErrorMessages  texts
nds    nds                      texts
aes    aes                      texts

pv     privileges               object
pvs    selfPrivileges           object
adri   authorizationDecisionResourceIDs texts
apri   authorizationPolicyResourceIDs texts
airi   authorizationInformationResourceIDs texts
mt     memberType               uint
spty   specializationType       any
cnm    currentNrOfMembers       uint
mnm    maxNrOfMembers           uint
mid    memberIDs                texts
macp   membersAccessControlPolicyIDs texts
mtv    memberTypeValidated      boolean
csy    consistencyStrategy      uint
gn     groupName                text
ssi    semanticSupportIndicator boolean
nar    notifyAggregation        any
rqag   requestAggregation       boolean

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

op     operation                uint
tg     target                   text
org    originator               text
rid    requestID                text
mi     metaInformation          any
rs     requestStatus            uint
ors    operationResult          any

ch     childResource            any
rrf    resourceRef              any
nm     name                     text
typ    type                     uint
val    value                    text
spid   specializationID         uint
"""
"""Short name, long name, kind of JSON."""

MEMBERS: Final = {
    "enc": {
        "net": "notificationEventType",
        "atr": "attribute",
        "chty": "childResourceType",
        "fo": "filterOperation",
        "crb": "createdBefore",
        "cra": "createdAfter",
        "ms": "modifiedSince",
        "us": "unmodifiedSince",
        "exb": "expireBefore",
        "exa": "expireAfter",
        "sts": "stateTagSmaller",
        "stb": "stateTagBigger",
        "sza": "sizeAbove",
        "szb": "sizeBelow",
        "lbl": "labels",
    },
    "bn": {"num": "number", "dur": "duration"},
}
"""Short and long names of members of attributes that are objects."""

# Behind a name its ``Access``: "!" a client must give it, "=" at CREATE only, "-" never from a client,
# "~" known to oneM2M and not supported here.
COMMON: Final = "ty- ri- rn= pi- ct- lt- cr- lbl et acpi daci~ at~ aa~ ast~ cstn~ loc~"
"""What every resource has; the row of a type overrules it."""

TYPES: Final = """
5  m2m:cb  CSEBase             | csi- cst- srt- srv- csz- | 1 2 3 9 14 23 28
1  m2m:acp accessControlPolicy | pv! pvs! adri~ apri~ airi~ acpi- | 23
2  m2m:ae  AE                  | api!= aei- apn rr srv poa poah nl csz or esi~ tren~ ape~ | 1 3 9 15 23 28
3  m2m:cnt container           | st- mni mbs mia cni- cbs- disr or li~ | 3 4 23 28
4  m2m:cin contentInstance     | st- con! cnf cs- or~ dgt~ conr~ dcnt~ acpi- |
9  m2m:grp group               | mt= cnm- mnm! mid! mtv- csy= gn spty~ macp~ ssi~ nar~ | 23
14 m2m:nod node                | ni! hcl hael hsl mgca rms- nid- nty | 13 23 28
17 m2m:req request             | op- tg- org- rid- mi- rs- ors- |
15 m2m:pch pollingChannel      | rqag~ acpi- |
23 m2m:sub subscription        | nu! enc nct exc bn pn ln su= nfu~ psn~ nsp~ nec~ rl~ gpi~ acrs~ ma~ nse~ |
28 m2m:fcnt flexContainer      | cnd!= st- cs- nl or mni~ mbs~ mia~ fcied~ | 3 23 28
"""
"""``ty``, root key in short and in long form; its own attributes; ``ty`` of what may lie below it."""

MGMT_COMMON: Final = "mgd= obis= obps= dc mgs= cmlk"
MGMT: Final = """
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
"""``mgd``, both root keys; its own attributes; another key it is known by."""

PROVIDER: Final = """
dtiot:noPRt nodeProvisioningRequest | cnd= opern!= reqLt!= tsn- st- |
dtiot:prRRe provisioningRequestResponse | cnd= reqRD- resSs- geEMe- inEMs- tsn- st- |
dtiot:devGr deviceGroup | cnd= nds aes tsn- st- | 23
"""
"""flexContainers of the D2C API: root key, end of the containerDefinition; its own attributes; what may lie
below it."""

UNSUPPORTED: Final = """
6  delivery
7  eventConfig
8  execInstance
10 locationPolicy
11 m2mServiceSubscriptionProfile
12 mgmtCmd
16 remoteCSE
18 schedule
19 serviceSubscribedAppRule
20 serviceSubscribedNode
21 statsCollect
22 statsConfig
24 semanticDescriptor
25 notificationTargetMgmtPolicyRef
26 notificationTargetPolicy
27 policyDeletionRules
29 timeSeries
30 timeSeriesInstance
34 dynamicAuthorizationConsultation
47 triggerRequest
48 crossResourceSubscription
58 flexContainerInstance
60 timeSyncBeacon
65 action
66 dependency
"""
"""Types of oneM2M that this server does not have."""
