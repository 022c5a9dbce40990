"""What the other tests here rely on: that a page which does what none may do fails its test."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("playwright", reason="needs playwright (PyPI)")

WRONG = {
    "asked for http://elsewhere.example/": "fetch('http://elsewhere.example/').catch(() => {})",
    "not as it should be": "console.error('not as it should be')",
    "uncaught: thrown": "setTimeout(() => { throw new Error('thrown') })",
}


@pytest.mark.parametrize("problem", WRONG)
async def test_what_no_page_may_do_is_noticed(page: Any, watch: Any, eventually: Any, problem: str) -> None:
    await page.goto("/healthz")
    watch.check()
    await page.evaluate(WRONG[problem])
    await noticed(watch, eventually, problem)


async def test_inline_scripts_and_missing_files_are_noticed(page: Any, watch: Any, eventually: Any) -> None:
    headers = {"content-security-policy": "script-src 'self'", "content-type": "text/html"}
    body = "<script>document.title = 'it ran'</script><script src='/no-such.js'></script>"
    await page.route("**/healthz", lambda route: route.fulfill(headers=headers, body=body))
    await page.goto("/healthz")
    assert await page.title() == ""
    await noticed(watch, eventually, "Content Security Policy", "GET .*/no-such.js")


async def noticed(watch: Any, eventually: Any, *problems: str) -> None:
    async def are_there() -> bool:
        return len(watch.problems) >= len(problems)

    await eventually(are_there)
    for problem in problems:
        with pytest.raises(AssertionError, match=problem):
            watch.check()
    watch.problems.clear()


async def test_a_device_is_simulated_beside_the_page(simulate: Any, rest: Any) -> None:
    await simulate("harness-device")
    found = (await rest.get("/devices/harness-device")).json()
    assert found["registered"] is True
