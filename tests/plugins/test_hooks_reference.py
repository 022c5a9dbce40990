"""The reference of hooks is complete: one heading a hook, with its exact argument list."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from lwm2m_engine.plugins import hookspecs

PAGE = Path(__file__).parents[2] / "docs/reference/hooks.md"


def test_every_hook_has_a_heading_with_its_arguments() -> None:
    hooks = {name: hook for name, hook in vars(hookspecs).items() if name.startswith(("lwm2m_", "server_"))}
    headings = [f"{name}({', '.join(inspect.signature(hook).parameters)})" for name, hook in hooks.items()]
    page = PAGE.read_text(encoding="utf-8")
    assert re.findall(r"^### ((?:lwm2m|server)_.*)$", page, re.MULTILINE) == headings


def test_every_hook_says_what_it_is_for() -> None:
    hooks = [hook for name, hook in vars(hookspecs).items() if name.startswith(("lwm2m_", "server_"))]
    assert [hook.__name__ for hook in hooks if not inspect.getdoc(hook)] == []
