"""Takes the pictures of the console that the documentation shows: ``python docs/screenshots.py``, or
``python docs/screenshots.py devices model`` for those only.

Starts a server with simulated devices and something to see on every page, and takes each page in light and in
dark. Needs what tests need, and Chromium.
"""

from __future__ import annotations

import asyncio
import base64
import math
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import httpx
from playwright.async_api import async_playwright

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests/support"), str(ROOT / "tests/benchmarks")]

from processes import Server  # noqa: E402

from furnishing import MODEL_ID, Furnishing, Words  # noqa: E402
from lwm2m_engine.coap import CoapRequest, Code  # noqa: E402
from lwm2m_engine.codecs import encode  # noqa: E402
from lwm2m_engine.entries import Entry  # noqa: E402
from lwm2m_engine.formats import ContentFormat  # noqa: E402
from lwm2m_engine.paths import ROOT as ROOT_PATH  # noqa: E402
from lwm2m_engine.paths import Path as LwM2MPath  # noqa: E402
from lwm2m_server.simulator.fleet import Fleet  # noqa: E402

TO: Final = ROOT / "docs/how-to/console"
SIZE: Final = {"width": 1280, "height": 800}
QUALITY: Final = 80
PAGES: Final = {
    "overview": "",
    "devices": "devices",
    "new-device": "new-device",
    "device": "devices/pump-1",
    "objects": "devices/pump-1/objects?q=tank",
    "history": "devices/pump-1/history?path=/33700/0/0",
    "mapping": "devices/pump-1/mappings",
    "queue": "devices/meter-7/queue",
    "exchanges": "devices/pump-1/exchanges",
    "profile": "profiles/pumps/transport?edit=1&object=33700",
    "model": "models/33700/1.0",
    "campaign": "campaigns/autumn",
    "problems": "problems",
}
"""Below ``/console/``, by the name of their pictures."""


TALL: Final = {"profile": 1250, "new-device": 1150}
"""Pixels, where the most of it is further down."""
CHECKED: Final = {"new-device": "Add credential"}
"""What is checked before the picture is taken."""


async def main() -> None:
    TO.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder))
        address = ("127.0.0.1", server.coap_port)
        try:
            async with (
                httpx.AsyncClient(base_url=server.addresses["http"], timeout=30.0) as client,
                Fleet.demo(address, 11, awake=5.0, sleep=3600.0) as fleet,
            ):
                await fleet.registered()
                furnishing = Furnishing(client, address, Words())
                await furnishing.furnish()
                await tell_a_day(furnishing)
                await run_a_campaign(furnishing)
                await take(server.addresses["http"])
                await furnishing.leave()
        finally:
            server.stop()


async def tell_a_day(furnishing: Furnishing) -> None:
    """What was measured before, sent at once, as devices do that were out of reach."""
    device = furnishing.devices[furnishing.words.device]
    place, now = LwM2MPath((MODEL_ID, 0, 0)), time.time()
    for hour in range(24):
        entries = [
            Entry(place, round(55 + 25 * math.sin(step / 17) - step % 12, 1), now - 86_400 + step * 300)
            for step in range(hour * 12, hour * 12 + 12)
        ]
        payload = encode(entries, ContentFormat.SENML_CBOR, at=ROOT_PATH, types=device.tree.type)
        await device.ask(CoapRequest(Code.POST, ("dp",), (), payload, ContentFormat.SENML_CBOR))


async def run_a_campaign(furnishing: Furnishing) -> None:
    """As far as it gets: some devices sleep."""
    campaign = {"name": "autumn", "package": furnishing.words.package, "target": {"endpoint": "device0*"}}
    waves = [{"count": 2}, {"percent": 50, "completed": 50}, {}]
    await furnishing.say("/campaigns", {**campaign, "waves": waves, "description": "All demo devices"})
    await furnishing.say("/campaigns/autumn/start", {})
    await asyncio.sleep(6)
    assert furnishing.refused == []


async def take(url: str) -> None:
    program = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=arguments)
        context = await browser.new_context(viewport=SIZE, locale="en-GB", timezone_id="Europe/Berlin")
        page = await context.new_page()
        session = await context.new_cdp_session(page)
        for name in sys.argv[1:] or PAGES:
            path = PAGES[name]
            await page.set_viewport_size({**SIZE, "height": TALL.get(name, SIZE["height"])})
            await page.goto(f"{url}/console/{path}")
            if name in CHECKED:
                await page.get_by_label(CHECKED[name]).check()
            await page.wait_for_timeout(500)
            for scheme in ("light", "dark"):
                await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
                (TO / f"{name}-{scheme}.webp").write_bytes(await picture(session))
        await browser.close()


async def picture(session: Any) -> bytes:
    found = await session.send("Page.captureScreenshot", {"format": "webp", "quality": QUALITY})
    return base64.b64decode(found["data"])


if __name__ == "__main__":
    asyncio.run(main())
