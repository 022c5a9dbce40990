"""Lines of the log as problems: which, of which kind, whose, and what makes two of them one."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from lwm2m_server.problems.book import Problems
from lwm2m_server.problems.lines import TOLD, WARNINGS, ProblemLines
from lwm2m_server.problems.subjects import Subjects
from lwm2m_server.store.ledger import SqliteLedger
from lwm2m_server.store.problems import Problem, ProblemFilter
from lwm2m_server.store.records import DeviceRef

DEVICE = DeviceRef(7, "main", "dev-1", "urn:1")
MODULE = "lwm2m_server.access.opening"


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Callable[..., list[Problem]]]:
    """Calls what logs; returns the problems there are then."""
    ledger = SqliteLedger(tmp_path / "ledger.db")

    async def log(lines: Callable[[], object]) -> None:
        problems = Problems(ledger)
        handler = ProblemLines(problems, Subjects({"urn:1": DEVICE}.get, ledger.reader, "main"))
        logging.getLogger().addHandler(handler)
        try:
            lines()
            await asyncio.sleep(0)
        finally:
            logging.getLogger().removeHandler(handler)
        await problems.flush()

    def told(lines: Callable[[], object]) -> list[Problem]:
        asyncio.run(log(lines))
        return [row.problem for row in ledger.reader.problems(ProblemFilter(), limit=99)]

    yield told
    ledger.close()


def say(module: str, level: int = logging.ERROR, **said: Any) -> None:
    """As structlog does."""
    logging.getLogger(module).log(level, said)  # type: ignore[arg-type]


def test_an_error_with_its_reason_is_one_however_often_it_is_said(told: Any) -> None:
    (one,) = told(lambda: [say(MODULE, event="not read", reason=f"bad {n}", file="x") for n in range(3)])
    assert (one.kind, one.text, one.count) == ("server", "not read: bad 2", 3)
    assert (one.tenant, one.node, one.facts) == ("", 0, {"module": MODULE, "error": "bad 2"})


def test_what_was_raised_is_the_reason_where_none_is_given(told: Any) -> None:
    def fail() -> None:
        for line in (lambda: say(MODULE, event="a", exc_info=True), lambda: logging.exception("b %d", 5)):
            try:
                raise KeyError("x\ny")
            except KeyError:
                line()

    assert {one.text for one in told(fail)} == {"a: KeyError: 'x\\ny'", "b 5: KeyError: 'x\\ny'"}


def test_formatted_lines_are_the_same_by_what_they_are_made_of(told: Any) -> None:
    (one,) = told(lambda: [logging.getLogger(MODULE).error("node %d\nodd", number) for number in range(3)])
    assert (one.text, one.count) == ("node 2 odd", 3)


def test_other_threads_are_heard(told: Any) -> None:
    def elsewhere() -> None:
        thread = threading.Thread(target=say, args=(MODULE,), kwargs={"event": "odd"})
        thread.start()
        thread.join()

    assert [one.text for one in told(elsewhere)] == ["odd"]


def test_of_a_device_that_is_known_it_is_the_tenants(told: Any) -> None:
    module = "lwm2m_server.bootstrap.provisioning"
    (one,) = told(lambda: say(module, logging.WARNING, event="another identity", endpoint="urn:1"))
    assert (one.kind, one.tenant, one.node, one.device) == ("bootstrap", "main", 7, "dev-1")


@pytest.mark.parametrize(
    ("module", "level"),
    [
        (MODULE, logging.WARNING),
        ("lwm2m_server.problems.book", logging.ERROR),
        ("lwm2m_engine.plugins.manager", logging.ERROR),
        ("lwm2m_server.coap.shedding", logging.INFO),
    ],
)
def test_what_is_no_problem_or_told_otherwise(told: Any, module: str, level: int) -> None:
    assert told(lambda: say(module, level, event="odd")) == []


def test_what_cannot_be_told_is_not_told_for_ever(
    told: Callable[..., list[Problem]], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def fail(self: Subjects, endpoint: str) -> None:
        asked.append(endpoint)
        raise OSError("closed")

    monkeypatch.setattr(Subjects, "at", fail)
    assert told(lambda: say(MODULE, event="odd", endpoint="urn:1")) == []
    assert asked == ["urn:1"]


def test_the_modules_it_knows_are_there():
    for name in (*TOLD, *WARNINGS):
        assert find_spec(name) is not None, name
