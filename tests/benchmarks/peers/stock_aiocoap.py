"""Stock aiocoap: an Update resource and an observation handler that do nothing. Run by ``serverload.py``.

``POST /rd`` is answered with a location, ``POST /rd/<id>`` with 2.04. With ``--observe`` the server
observes ``/3303/0`` of whoever registers. Prints one line of JSON with its address.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from itertools import count
from typing import Any

import aiocoap
import aiocoap.resource


class Update(aiocoap.resource.Resource):
    """``/rd/<id>``"""

    async def render_post(self, request: aiocoap.Message) -> aiocoap.Message:
        return aiocoap.Message(code=aiocoap.CHANGED)


class Register(aiocoap.resource.Resource):
    """``/rd``"""

    def __init__(self, site: aiocoap.resource.Site, observe: bool) -> None:
        super().__init__()
        self.context: Any = None
        self._site, self._observe = site, observe
        self._numbers = count(1)
        self._kept: set[Any] = set()

    async def render_post(self, request: aiocoap.Message) -> aiocoap.Message:
        location = ["rd", str(next(self._numbers))]
        self._site.add_resource(location, Update())
        if self._observe:
            self._kept.add(asyncio.create_task(self._begin(request.remote)))
        return aiocoap.Message(code=aiocoap.CREATED, location_path=location)

    async def _begin(self, remote: Any) -> None:
        message = aiocoap.Message(code=aiocoap.GET, observe=0)
        message.opt.uri_path = ("3303", "0")
        message.remote = remote
        request = self.context.request(message)
        request.observation.register_callback(lambda notification: None)
        request.observation.register_errback(lambda error: None)
        await request.response
        self._kept.add(request)


async def main() -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        probe.bind(("::", 0))
        port = probe.getsockname()[1]
    site = aiocoap.resource.Site()
    register = Register(site, "--observe" in sys.argv)
    site.add_resource(["rd"], register)
    register.context = await aiocoap.Context.create_server_context(
        site, bind=("::", port), transports=["udp6"]
    )
    print(json.dumps({"coap": f"127.0.0.1:{port}"}), flush=True)
    await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    asyncio.run(main())
