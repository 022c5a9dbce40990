"""Bootstrap settings of device profiles, in either of their forms, as configurations.

Today's form is a list of servers; the older one has one object with ``servers`` (the Server object),
``lwm2mServer`` and ``bootstrapServer``. Device credentials, if they are given, say how the client proves
itself to each; else PSK clients get a key that is made for them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from lwm2m_engine.errors import ValueRejected

MODES: Final = {"PSK": 0, "RPK": 1, "X509": 2, "NO_SEC": 3}
DEFAULTS: Final[Mapping[str, Any]] = {
    "securityMode": "NO_SEC",
    "lifetime": 300,
    "defaultMinPeriod": 1,
    "notifIfDisabled": True,
    "binding": "U",
}
WHAT: Final = "bootstrap settings of the profile"
SHORT_ID: Final = ("shortServerId", "serverId", "shortId")
"""One thing, by its names in both forms."""
UNREACHABLE: Final = ("0.0.0.0", "::")  # noqa: S104 - refused


def document_of_profile(
    profile: Mapping[str, Any], credentials: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """``profile`` has the member ``bootstrap``. Raises an ``ExceptionGroup`` of ``ValueRejected``."""
    conversion = _Conversion(credentials or {})
    document = conversion.document(_servers(profile), profile.get("bootstrapServerUpdateEnable") is not False)
    if conversion.faults:
        raise ExceptionGroup(WHAT, conversion.faults)
    return document


def _servers(profile: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """In today's form, whichever it came in."""
    bootstrap = profile.get("bootstrap")
    if isinstance(bootstrap, Mapping):
        account, managing = _object(bootstrap, "bootstrapServer"), _object(bootstrap, "lwm2mServer")
        servers = [{**account, "bootstrapServerIs": True}] if account else []
        return [*servers, {**_object(bootstrap, "servers"), **managing, "bootstrapServerIs": False}]
    if not isinstance(bootstrap, list):
        return []
    return [_object({str(place): server}, str(place)) for place, server in enumerate(bootstrap)]


def _object(members: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """One that is not there is empty."""
    value = members.get(name, {})
    if isinstance(value, Mapping):
        return value
    raise ExceptionGroup(WHAT, [ValueRejected("a JSON object is due", path=f"bootstrap.{name}")])


class _Conversion:
    def __init__(self, credentials: Mapping[str, Any]) -> None:
        self._client_mode = _object(credentials, "client").get("securityConfigClientMode")
        self._credentials = _object(credentials, "bootstrap")
        self.faults: list[ValueRejected] = []
        self.notes: list[str] = []

    def document(self, servers: Sequence[Mapping[str, Any]], updates: bool) -> dict[str, Any]:
        accounts = [server for server in servers if _is_bootstrap(server)]
        others = [server for server in servers if not _is_bootstrap(server)]
        if not others:
            self._fault("bootstrap", "no LwM2M server is there to be written")
        if accounts and not updates:
            accounts = []
            self.notes.append("bootstrapServerUpdateEnable is off: the bootstrap server is not written")
        write: dict[str, dict[str, Any]] = {}
        for account in accounts:
            write["/0/0"] = self._security(account, "bootstrapServer")
            if _short_id(account) is not None:
                self.notes.append(
                    f"the short identifier {_short_id(account)} of the bootstrap server is not written: "
                    "only LwM2M servers have one (LwM2M Core 1.2, Appendix E.1, /0/x/10)"
                )
        for number, server in enumerate(others):
            write[f"/0/{number + 1}"] = self._security(server, "lwm2mServer")
            write[f"/1/{number}"] = _server(server)
        mode = self._client_mode or (accounts or others or [DEFAULTS])[0].get("securityMode", "NO_SEC")
        return {"noSec": mode == "NO_SEC", "write": write, "notes": self.notes}

    # --- object 0 ----------------------------------------------------------------------------------

    def _security(self, server: Mapping[str, Any], side: str) -> dict[str, Any]:
        mode = server.get("securityMode", DEFAULTS["securityMode"])
        if mode not in MODES:
            self._fault(f"{side}.securityMode", f"{mode!r} is none of {', '.join(MODES)}")
            mode = "NO_SEC"
        is_bootstrap = _is_bootstrap(server)
        written = {"0": self._uri(server, side, mode), "1": is_bootstrap, "2": MODES[mode]}
        if mode != "NO_SEC":
            written |= self._keys(server, side, mode)
        if not is_bootstrap:
            written["10"] = _short_id(server)
        for name, resource in (("clientHoldOffTime", "11"), ("bootstrapServerAccountTimeout", "12")):
            if server.get(name) is not None:
                written[resource] = server[name]
        return written

    def _uri(self, server: Mapping[str, Any], side: str, mode: str) -> str:
        host, port = str(server.get("host") or ""), server.get("port")
        if host in UNREACHABLE or not host:
            self._fault(f"{side}.host", f"{host!r} is no address that a client can connect to")
        if not isinstance(port, int) or isinstance(port, bool) or not 0 < port <= 65535:
            self._fault(f"{side}.port", f"{port!r} is no port from 1 to 65535")
        scheme = "coap" if mode == "NO_SEC" else "coaps"
        return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"

    def _keys(self, server: Mapping[str, Any], side: str, mode: str) -> dict[str, Any]:
        own = _object(self._credentials, side)
        if not own and mode == "PSK":
            name = "bootstrap" if side == "bootstrapServer" else "management"
            return {"3": {"text": "{endpoint}"}, "5": {"key": name}}
        if not own:
            self._fault(side, f"mode {mode} takes the key of each client: its credentials are due")
            return {}
        if own.get("securityMode", mode) != mode:
            self._fault(
                side, f"the profile says {mode}, and the credentials of the client {own['securityMode']}"
            )
        public, secret = (str(own.get(name, "")) for name in ("clientPublicKeyOrId", "clientSecretKey"))
        if mode == "PSK":
            return {"3": {"text": public.replace("{", "{{").replace("}", "}}")}, "5": {"hex": secret}}
        of_server = server.get("serverCertificate") if mode == "X509" else None
        return {"3": public, "4": of_server or server.get("serverPublicKey") or "", "5": secret}

    def _fault(self, place: str, reason: str) -> None:
        self.faults.append(ValueRejected(reason, path=place))


# --- object 1 --------------------------------------------------------------------------------------


def _server(server: Mapping[str, Any]) -> dict[str, Any]:
    def given(name: str) -> Any:
        value = server.get(name)
        return DEFAULTS[name] if value is None else value

    return {
        "0": _short_id(server),
        "1": given("lifetime"),
        "2": given("defaultMinPeriod"),
        "6": given("notifIfDisabled"),
        "7": given("binding"),
    }


def _short_id(server: Mapping[str, Any]) -> int | None:
    return next((server[name] for name in SHORT_ID if server.get(name) is not None), None)


def _is_bootstrap(server: Mapping[str, Any]) -> bool:
    return server.get("bootstrapServerIs") is True
