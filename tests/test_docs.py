"""The manual is true: its Python runs, its commands parse, its generated pages are current."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from itertools import dropwhile, takewhile
from pathlib import Path

import click
import pytest

from lwm2m_server.cli.main import lwm2m

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "plugins").glob("*.md"), *(ROOT / "docs").rglob("*.md")])
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHELLS = {"sh", "bash", "shell", "console"}
LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)(?:#[^)]*)?\)")


def blocks(page: Path, *languages: str) -> list[str]:
    return [
        text for language, text in FENCE.findall(page.read_text(encoding="utf-8")) if language in languages
    ]


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=name)
def test_python_examples_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All blocks of a page share one namespace, as a reader would type them. Programs do not run."""
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": "manual"}
    text = page.read_text(encoding="utf-8")
    for match in FENCE.finditer(text):
        if match[1] == "python":
            # Line numbers of the page, so that a failure points at it.
            source = "\n" * (text.count("\n", 0, match.start(2))) + match[2]
            exec(compile(source, name(page), "exec"), namespace)


def commands() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for block in blocks(page, *SHELLS):
            for line in lines(block):
                if words := lwm2m_words(line):
                    yield name(page), shlex.join(words)


def lines(block: str) -> Iterator[str]:
    """As the shell sees them: continued ones, and quotations that go on in the next, are one."""
    pending = ""
    for line in block.replace("\\\n", " ").splitlines():
        pending += line
        if is_whole(pending):
            yield pending
            pending = ""
        else:
            pending += "\n"
    assert not pending, f"a quotation that does not end: {pending}"


def is_whole(line: str) -> bool:
    try:
        shlex.split(line, comments=True)
    except ValueError:
        return False
    return True


def lwm2m_words(line: str) -> list[str]:
    """The words of the lwm2m command in a shell line, up to a pipe, redirection or comment."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words = dropwhile(lambda word: word.rpartition("/")[2] != "lwm2m", lexer)
    return list(takewhile(lambda word: word not in {"|", "||", "&", "&&", ";", ">", "<", ">>"}, words))


@pytest.mark.parametrize(("page", "line"), sorted(set(commands())))
def test_commands_parse(page: str, line: str) -> None:
    parse(lwm2m, shlex.split(line)[1:])


def parse(command: click.Command, words: list[str], parent: click.Context | None = None) -> None:
    """Like click, but without looking whether files exist."""
    if words in (["--help"], ["-h"], ["--version"]):
        return
    context = click.Context(command, info_name=command.name, parent=parent, **command.context_settings)
    if isinstance(command, click.Group):
        assert words, f"{command.name}: no subcommand"
        _, found, rest = command.resolve_command(context, list(words))
        assert found is not None, f"{command.name} has no command {words[0]}"
        parse(found, rest, context)
        return
    values, left, _ = command.make_parser(context).parse_args(list(words))
    assert not left, f"{command.name}: too many arguments: {left}"
    missing = [param.name for param in command.params if param.required and not values.get(str(param.name))]
    assert not missing, f"{command.name}: missing {missing}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    broken = [target for target in LINK.findall(text) if not (page.parent / target).exists()]
    assert broken == []


def test_generated_pages_are_current(tmp_path: Path) -> None:
    """In a process of its own: click remembers how a command was called first."""
    subprocess.run([sys.executable, str(ROOT / "docs/generate.py"), str(tmp_path)], check=True, timeout=60)
    written = {page.name: page.read_text(encoding="utf-8") for page in tmp_path.iterdir()}
    assert set(written) == {
        "attributes.md",
        "cli.md",
        "http-api.md",
        "lwm2m-device-api.md",
        "mappings.md",
        "profiles.md",
    } | {
        "onem2m.md",
        "settings.md",
    }
    stale = [
        page
        for page, text in written.items()
        if (ROOT / "docs/reference" / page).read_text(encoding="utf-8") != text
    ]
    assert stale == [], "run: python docs/generate.py"


def test_the_readme_has_exactly_two_set_up_commands() -> None:
    shell = blocks(ROOT / "README.md", *SHELLS)
    setups = [block for block in shell if "pip install" in block]
    assert len(setups) == 2
    assert setups == shell[:2]
    assert setups[0].rstrip().endswith("lwm2m demo")
    assert "pytest" in setups[1]
    assert all(block.startswith("python3 -m venv") and block.count("\n") == 1 for block in setups)
