"""Importing object models, as the pictures of the device API's reference page have it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lwm2m_engine.model.sources import bundled_directory

playwright = pytest.importorskip("playwright.async_api", reason="needs playwright (PyPI)")
FILE = bundled_directory() / "3_1_2.xml"
DROP = """([name, text]) => {
    const dropped = new DataTransfer();
    dropped.items.add(new File([text], name));
    const event = new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer: dropped });
    document.querySelector(".drop").dispatchEvent(event);
}"""


def expect(found: Any) -> Any:
    return playwright.expect(found)


async def import_device(page: Any, file: Path | str, level: str) -> None:
    """From the first page to what is told of the file."""
    await page.goto("/console/")
    await page.get_by_role("link", name="Object models").click()
    await page.get_by_role("link", name="Upload models").click()
    await page.get_by_label("Level").select_option(level)
    await page.get_by_label("Choose files").set_input_files(file)
    await expect(page.get_by_label("Resource type")).to_have_text("LWM2M model")
    await page.get_by_role("button", name="Add").click()


async def check_device(page: Any) -> None:
    """Name, ObjectID, ObjectVersion and file name, in the report and on the page of the model."""
    (name, id, version, file) = ("Device", "3", "1.2", "3_1_2.xml")
    row = page.get_by_role("row").filter(has_text=file)
    await expect(row).to_contain_text("stored")
    for text in (id, version, file):
        await expect(row.get_by_role("cell", name=text, exact=True)).to_be_visible()
    await row.get_by_role("link", name=name).click()
    facts = page.get_by_role("heading", name="Model", exact=True).locator("..")
    for label, text in (("Name", name), ("ObjectID", id), ("ObjectVersion", version), ("File name", file)):
        await expect(facts.locator("dt", has_text=label).first.locator("+ dd")).to_have_text(text)


async def delete(page: Any) -> None:
    """The bundled one is in force again."""
    await page.get_by_role("button", name="Delete").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("Delete this model?")
    await dialog.get_by_role("button", name="Cancel").click()
    await expect(dialog).to_have_count(0)
    await page.get_by_role("button", name="Delete").click()
    await dialog.get_by_role("button", name="Delete").click()
    await expect(page.get_by_text("Model 3/1.2 is deleted. That of the level bundled")).to_be_visible()


async def test_a_model_is_imported_for_every_tenant(page: Any, signed_in: Any) -> None:
    await signed_in(page, "system")
    await import_device(page, FILE, "system")
    await check_device(page)
    await delete(page)


async def test_a_model_is_imported_for_one_tenant(page: Any, signed_in: Any) -> None:
    await signed_in(page, "admin")
    await import_device(page, FILE, "tenant")
    await check_device(page)
    await delete(page)


async def test_files_can_be_dropped(page: Any, signed_in: Any) -> None:
    await signed_in(page)
    await page.goto("/console/models/upload")
    await page.evaluate(DROP, ["broken<b>.xml", "<LWM2M><Object>\n<Name>Half"])
    await page.get_by_role("button", name="Add").click()
    row = page.get_by_role("row").filter(has_text="broken<b>.xml")
    await expect(row).to_contain_text("refused")
    await expect(row).to_contain_text("line 2")
    await expect(page.get_by_role("status")).to_contain_text("0 of 1 file")
