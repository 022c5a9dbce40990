"""Paths: text, ids, order."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwm2m_engine.errors import PathError
from lwm2m_engine.paths import ROOT, Path

paths = st.builds(Path, st.lists(st.integers(0, 65534), max_size=4))


@given(paths)
def test_text_comes_back(path: Path) -> None:
    assert Path(str(path)) == Path(tuple(path)) == Path(path.key) == path
    assert pickle.loads(pickle.dumps(path)) == path
    assert eval(repr(path)) == path


@pytest.mark.parametrize("text", ["", "/"])
def test_root(text: str) -> None:
    assert Path(text) == ROOT == Path() == ROOT.parent
    assert (str(ROOT), ROOT.key, ROOT.level) == ("/", "", "root")


@pytest.mark.parametrize("text", ["/3/0/9", "3/0/9", "/3/0/9/", "3/0/9/"])
def test_slashes_at_the_ends_do_not_matter(text: str) -> None:
    path = Path(text)
    assert (path.object, path.instance, path.resource, path.resource_instance) == (3, 0, 9, None)
    assert (path.level, str(path.parent), path / 1) == ("resource", "/3/0", Path("/3/0/9/1"))


@pytest.mark.parametrize(
    "text",
    [
        "//",
        "/3//9",
        "//3",
        "/3/0//",
        "/a",
        "/-1",
        "/+1",
        "/65536",
        "/1/65535",
        "/1/2/3/4/5",
        "/ 3",
        "/3/0/9?x",
        "/٣",
        "/1e3",
        "/000003",
        "/" + "9" * 5000,
    ],
)
def test_no_paths(text: str) -> None:
    with pytest.raises(PathError) as caught:
        Path(text)
    assert caught.value.text == text


@pytest.mark.parametrize("ids", [(-1,), (65536,), (True,), ("3",), (1, 65535), (1, 2, 3, 4, 5), (1.0,)])
def test_no_ids(ids: tuple[int, ...]) -> None:
    with pytest.raises(PathError):
        Path(ids)


def test_65535_is_an_id_of_everything_but_instances() -> None:
    assert str(Path("/65535/0/65535/65535")) == "/65535/0/65535/65535"


def test_order() -> None:
    texts = ["/", "/1", "/1/1", "/1/1/1", "/1/1/1/1", "/1/1/2", "/2", "/10"]
    assert sorted(map(Path, reversed(texts))) == list(map(Path, texts))


@given(paths, paths)
def test_startswith(path: Path, other: Path) -> None:
    assert path.startswith(other) == (list(path)[: len(other)] == list(other))
    assert all(path.startswith(path[:depth]) for depth in range(len(path) + 1))


def test_a_path_is_its_own_copy() -> None:
    path = Path("/3/0/9")
    assert Path(path) is path
    assert {path: 1}[Path((3, 0, 9))] == 1
