"""A small client of a running server's HTTP API, for the commands that talk to one."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from http.client import HTTPException
from io import IOBase
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import ProxyHandler, Request, build_opener

import attrs

from lwm2m_engine.errors import LwM2MError
from lwm2m_server.cli.bearer import Bearer
from lwm2m_server.cli.exits import Exit

TIMEOUT = 30.0
"""Seconds that is enough for most answers."""

PIECE = 1 << 18
"""Bytes of a long answer that are read at a time."""
AGAIN = 0.5
"""Seconds before a stream that ended is asked for again."""
ADMIN = "CAdmin"
"""Who speaks, if the file of the token does not name another AE."""

_LETTERS = "/api/v1/deliveries/dead-letters"
_BOOTSTRAP = "/api/v1/bootstrap"

# A server on this machine is not to be asked for through a proxy.
_open = build_opener(ProxyHandler({})).open


class ServerError(LwM2MError):
    """The server refused; ``status`` is that of HTTP, 0 if there was no answer, ``document`` the problem."""

    def __init__(self, status: int, reason: str, document: Mapping[str, Any] | None = None) -> None:
        super().__init__(status, reason)
        self.status, self.reason, self.document = status, reason, document or {}

    def __str__(self) -> str:
        return self.reason

    @property
    def exit_code(self) -> Exit:
        """What is wrong with a request, or not there, was wrong on the command line."""
        misuse = self.status in (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND)
        return Exit.MISUSE if misuse else Exit.FAILED


@attrs.frozen
class Client:
    """Requests about one tenant."""

    url: str
    tenant: str | None = None
    bearer: Bearer | None = None
    patience: float = TIMEOUT
    """Seconds the server may take for one answer."""

    @classmethod
    def of(cls, url: str, tenant: str | None, token_file: Path | None) -> Client:
        """From the flags. Raises ``ServerError`` for what is no HTTP address, ``SettingsError`` for a file
        that proves nothing."""
        if urlsplit(url).scheme not in ("http", "https"):
            raise ServerError(0, f"--url: {url!r} is not an http:// or https:// address")
        return cls(url.rstrip("/"), tenant, Bearer.load(token_file) if token_file else None)

    @property
    def base(self) -> str:
        """Where the tenant's oneM2M tree begins; ``-`` is the server's own tenant."""
        return f"/{segment(self.tenant or '-')}"

    def devices(self, **wanted: str | None) -> Iterator[dict[str, Any]]:
        """Devices of the tenant, all or those ``wanted``, as ``/api/v1/devices`` describes them."""
        given = {name: value for name, value in wanted.items() if value is not None}
        offset: int | None = 0
        while offset is not None:
            page = self.get(f"/api/v1/devices?{self._query(offset=offset, **given)}")
            yield from page["devices"]
            offset = page.get("nextOffset")

    def device(self, name: str) -> dict[str, Any]:
        """One device with its objects, observations and waiting messages."""
        found: dict[str, Any] = self.get(f"/api/v1/devices/{segment(name)}?{self._query()}")
        return found

    def credentials(self) -> Iterator[dict[str, Any]]:
        """Credentials that were set for devices of the tenant, without the secrets."""
        after: int | None = 0
        while after is not None:
            page = self.get(f"/api/v1/credentials?{self._query(after=after)}")
            yield from page["credentials"]
            after = page.get("next")

    def credentials_of(self, name: str) -> Iterator[dict[str, Any]]:
        """Both of one device."""
        found = self.get(f"/api/v1/devices/{segment(name)}/credentials?{self._query()}")
        for side, shown in found.items():
            yield {"device": name, "side": side, **shown}

    def put_credentials(self, name: str, side: str, credentials: Mapping[str, Any]) -> None:
        self._request("PUT", self._credentials(name, side), credentials)

    def remove_credentials(self, name: str, side: str) -> None:
        self._request("DELETE", self._credentials(name, side))

    def _credentials(self, name: str, side: str) -> str:
        return f"/api/v1/devices/{segment(name)}/credentials/{segment(side)}?{self._query()}"

    def bootstrap_configs(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get(f"{_BOOTSTRAP}/configs?{self._query()}")["configs"]
        return found

    def bootstrap_config(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.get(self._bootstrap(name))
        return found

    def put_bootstrap_config(self, name: str, config: Mapping[str, Any]) -> dict[str, Any]:
        """As it is kept; raises ``ServerError``."""
        found: dict[str, Any] = self._request("PUT", self._bootstrap(name), config)
        return found

    def remove_bootstrap_config(self, name: str) -> None:
        self._request("DELETE", self._bootstrap(name))

    def bootstrap_preview(
        self, name: str, endpoint: str | None, config: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        """What a device would be asked by what is kept, or by ``config``."""
        query = {"endpoint": endpoint} if endpoint else {}
        path = f"{_BOOTSTRAP}/configs/{segment(name)}/preview?{self._query(**query)}"
        found: dict[str, Any] = self._request("GET" if config is None else "POST", path, config)
        return found

    def bootstrap_sessions(self, endpoint: str | None = None) -> dict[str, Any]:
        """The last of each device, or all of one."""
        place = f"/{segment(endpoint)}" if endpoint else ""
        found: dict[str, Any] = self.get(f"{_BOOTSTRAP}/sessions{place}?{self._query()}")
        return found

    def _bootstrap(self, name: str) -> str:
        return f"{_BOOTSTRAP}/configs/{segment(name)}?{self._query()}"

    def power(self, name: str) -> dict[str, Any] | None:
        """When a device listens, if that was set."""
        found: dict[str, Any] | None = self.get(self._power(name))
        return found

    def set_power(self, name: str, power: Mapping[str, Any]) -> None:
        self._request("PUT", self._power(name), power)

    def unset_power(self, name: str) -> None:
        self._request("DELETE", self._power(name))

    def _power(self, name: str) -> str:
        return f"/api/v1/devices/{segment(name)}/power-saving?{self._query()}"

    def trace(self, name: str, after: int = 0) -> dict[str, Any]:
        """What was said with a device after a message, if it is traced."""
        found: dict[str, Any] = self.get(f"{self._trace(name)}?{self._query(after=after)}")
        return found

    def start_trace(self, name: str) -> None:
        self._request("PUT", f"{self._trace(name)}?{self._query()}")

    def stop_trace(self, name: str) -> None:
        self._request("DELETE", f"{self._trace(name)}?{self._query()}")

    def follow_trace(self, name: str) -> Iterator[dict[str, Any]]:
        """What was said with a device that is traced, and what is said from now on, until the trace ends."""
        after, connected = 0, False
        while True:
            try:
                with self._response("GET", self._following(name, after)) as response:
                    connected = True
                    for line in filter(bytes.strip, response):
                        message = json.loads(line)
                        after = message["number"]
                        yield message
            except ServerError as error:
                if connected and error.status in (0, HTTPStatus.CONFLICT):
                    return
                raise
            # A stream ends with the token that it was asked for with, too; with a new one it goes on.
            time.sleep(AGAIN)

    def _following(self, name: str, after: int) -> str:
        return f"{self._trace(name)}?{self._query(follow=1, after=after)}"

    def events(self, after: int | None, **wanted: Sequence[str]) -> dict[str, Any]:
        """A page of what happened behind ``after``, or lately; ``wanted`` are filters."""
        place = {} if after is None else {"after": str(after), "limit": "1000"}
        found: dict[str, Any] = self.get(f"/api/v1/events?{self._filters(**place, **wanted)}")
        return found

    def follow_events(self, after: int | None, **wanted: Sequence[str]) -> Iterator[tuple[int, str, Any]]:
        """Number, kind and message of what happens from now on, or happened behind ``after``.

        Ends with the connection, or raises ``ServerError``.
        """
        path = f"/api/v1/events?{self._filters(**wanted)}"
        headers = {"Accept": "text/event-stream"}
        if after is not None:
            headers["Last-Event-ID"] = str(after)
        with self._response("GET", path, more=headers) as response:
            fields: dict[str, str] = {}
            for line in response:
                name, _, value = line.decode("utf-8").rstrip("\n").partition(": ")
                if name:
                    fields[name] = value
                    continue
                if "id" in fields:
                    data = json.loads(fields["data"]) if "data" in fields else None
                    yield int(fields["id"]), fields.get("event", ""), data
                fields = {}

    def _filters(self, **wanted: str | Sequence[str]) -> str:
        given = {name: value for name, value in wanted.items() if value}
        return urlencode(given | ({"tenant": self.tenant} if self.tenant else {}), doseq=True)

    def _trace(self, name: str) -> str:
        return f"/api/v1/devices/{segment(name)}/trace"

    def audit(self, before: int) -> dict[str, Any]:
        """A page of the audit log, of what was before a number; 0 for the end of the log."""
        found: dict[str, Any] = self.get(f"/api/v1/audit?{self._query(before=before)}")
        return found

    def deliveries(self) -> dict[str, Any]:
        """How notifications get to each target."""
        found: dict[str, Any] = self.get(f"/api/v1/deliveries?{self._query()}")
        return found

    def dead_letters(self, target: str | None = None) -> Iterator[dict[str, Any]]:
        """Of one target or of all, the oldest first."""
        after: str | None = "0"
        while after is not None:
            more = {"target": target} if target is not None else {}
            page = self.get(f"{_LETTERS}?{self._query(after=after, **more)}")
            yield from page["deadLetters"]
            after = page.get("next")

    def dead_letter(self, id: str) -> dict[str, Any]:
        """With its content."""
        found: dict[str, Any] = self.get(f"{_LETTERS}/{segment(id)}?{self._query()}")
        return found

    def replay(self, id: str) -> None:
        self._request("POST", f"{_LETTERS}/{segment(id)}/replay?{self._query()}")

    def drop(self, id: str) -> None:
        self._request("DELETE", f"{_LETTERS}/{segment(id)}?{self._query()}")

    def replay_all(self, target: str | None) -> int:
        """Returns how many."""
        more = {"target": target} if target is not None else {}
        return int(self._request("POST", f"/api/v1/deliveries/replay?{self._query(**more)}")["replayed"])

    def drop_all(self, target: str | None) -> int:
        """Returns how many."""
        more = {"target": target} if target is not None else {}
        return int(self._request("DELETE", f"{_LETTERS}?{self._query(**more)}")["dropped"])

    def api(self, path: str, **query: int | str) -> str:
        """The path of something below ``/api/v1``, about this tenant."""
        return f"/api/v1{path}?{self._query(**query)}"

    def _query(self, **arguments: int | str) -> str:
        return urlencode({**arguments, **({"tenant": self.tenant} if self.tenant else {})})

    def get(self, path: str) -> Any:
        """The JSON at a path of the server; raises ``ServerError``."""
        return self._request("GET", path)

    def post(self, path: str, resource: Mapping[str, Any], ty: int) -> Any:
        """Create a oneM2M resource of type ``ty``; raises ``ServerError``."""
        return self._request("POST", path, resource, f"application/json;ty={ty}")

    def put(self, path: str, resource: Mapping[str, Any]) -> Any:
        """Update a oneM2M resource; raises ``ServerError``."""
        return self._request("PUT", path, resource)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """JSON in, JSON out; raises ``ServerError``."""
        return self._request(method, path, body)

    def delete(self, path: str) -> None:
        """Raises ``ServerError``."""
        self._request("DELETE", path)

    def send(self, method: str, path: str, data: bytes, media_type: str) -> Any:
        """Bytes in, JSON out; raises ``ServerError``."""
        return self._request(method, path, data, media_type)

    def upload(self, path: str, stream: IO[bytes], size: int) -> Any:
        """``size`` bytes of a file in, JSON out; raises ``ServerError``."""
        with self._response(
            "POST", path, stream, "application/octet-stream", {"Content-Length": str(size)}
        ) as response:
            return json.loads(response.read())

    def pieces(self, path: str) -> Iterator[bytes]:
        """Many bytes, as they come; raises ``ServerError``."""
        with self._response("GET", path) as response:
            while piece := response.read(PIECE):
                yield piece

    def fetch(self, path: str) -> bytes:
        """Bytes as they are; raises ``ServerError``."""
        with self._response("GET", path) as response:
            return response.read()

    def lines(self, path: str) -> Iterator[bytes]:
        """The same, line by line as they come."""
        with self._response("GET", path) as response:
            yield from response

    def _request(self, method: str, path: str, body: Any = None, media_type: str = "application/json") -> Any:
        with self._response(method, path, body, media_type) as response:
            payload = response.read()
        return json.loads(payload) if payload else None

    @contextmanager
    def _response(
        self,
        method: str,
        path: str,
        body: Any = None,
        media_type: str = "application/json",
        more: Mapping[str, str] | None = None,
    ) -> Iterator[IO[bytes]]:
        headers = {
            "Accept": "application/json",
            "X-M2M-Origin": self.bearer.origin or ADMIN if self.bearer is not None else ADMIN,
            "X-M2M-RI": uuid.uuid4().hex,
            # Attribute names as the server spells them by default would depend on its settings.
            "fullName": "true",
            **(more or {}),
        }
        if self.bearer is not None:
            headers["Authorization"] = self.bearer.header(self._token)
        data: Any = None
        if body is not None:
            data = body if isinstance(body, (bytes, IOBase)) else json.dumps(body).encode()
            headers["Content-Type"] = media_type
        with self._exchange(method, path, data, headers) as response:
            yield response

    def _token(self, form: bytes, headers: dict[str, str]) -> Any:
        with self._exchange("POST", "/auth/token", form, headers) as response:
            return json.loads(response.read())

    @contextmanager
    def _exchange(self, method: str, path: str, data: Any, headers: dict[str, str]) -> Iterator[IO[bytes]]:
        # The scheme was checked: this is never a file.
        request = Request(self.url + path, data=data, headers=headers, method=method)  # noqa: S310
        try:
            with _open(request, timeout=self.patience) as response:
                yield response
        except HTTPError as error:
            document = _document(error)
            raise ServerError(error.code, _reason(error, document), document) from error
        except (URLError, HTTPException, OSError) as error:
            raise ServerError(0, _unreachable(self.url, error)) from error


def segment(name: str) -> str:
    """A name as one segment of a path."""
    return quote(name, safe=":")


def _document(error: HTTPError) -> dict[str, Any]:
    try:
        body = json.loads(error.read().decode("utf-8", "replace"))
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _reason(error: HTTPError, document: Mapping[str, Any]) -> str:
    """What the server says is wrong: oneM2M's debug text, a problem's detail, or the status."""
    for key in ("m2m:dbg", "detail", "error_description", "title"):
        if document.get(key):
            return str(document[key])
    return f"the server answered {error.code} {error.reason}"


def _unreachable(url: str, error: Exception) -> str:
    cause = getattr(error, "reason", error)
    advice = "start one with 'lwm2m serve' or 'lwm2m demo', or name another with --url"
    return f"no server answers at {url} ({cause}); {advice}"
