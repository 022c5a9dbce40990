"""Object versions: defaults of the enabler releases, and the nearest one that is loaded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwm2m_engine.model.versions import default_version, nearest_version, parse_version, version_key

VERSIONS = st.builds("{}.{}".format, st.integers(0, 4), st.integers(0, 12))


@pytest.mark.parametrize(
    ("enabler", "expected"),
    [
        ("1.0", {}),
        ("1.1", {0: "1.1", 1: "1.1", 3: "1.1", 4: "1.2"}),
        ("1.2", {0: "1.2", 1: "1.2", 2: "1.1", 3: "1.2", 4: "1.3", 5: "1.1", 21: "1.1"}),
    ],
)
def test_default_versions(enabler, expected):
    for object_id in (*range(30), 3303, 33333):
        assert default_version(enabler, object_id) == expected.get(object_id, "1.0")


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("1.0", (1, 0)),
        ("1.10", (1, 10)),
        ("2", (2, 0)),
        ("", None),
        ("1.", None),
        ("v1.0", None),
        ("1.0.3", None),
    ],
)
def test_parse_version(text, version):
    assert parse_version(text) == version


@pytest.mark.parametrize(
    ("wanted", "loaded", "found"),
    [
        ("1.1", ["1.0", "1.1", "1.2"], "1.1"),
        ("1.4", ["1.0", "1.1", "1.2"], "1.2"),
        ("1.1", ["1.0", "1.2"], "1.0"),
        ("1.0", ["1.1", "1.2", "2.0"], "1.1"),
        ("2.5", ["1.0", "2.0", "2.1"], "2.1"),
        ("2.0", ["1.0", "1.1"], "1.1"),
        ("1.0", ["2.0", "2.10", "2.9"], "2.10"),
        ("nonsense", ["1.0", "2.0"], "2.0"),
        ("1.0", [], None),
    ],
)
def test_nearest_version(wanted, loaded, found):
    assert nearest_version(wanted, loaded) == found


@given(VERSIONS, st.sets(VERSIONS, min_size=1))
def test_nearest_version_keeps_the_major_version_if_it_can(wanted, loaded):
    found = nearest_version(wanted, loaded)
    assert found in loaded
    major, minor = version_key(wanted)
    minors = {version_key(version)[1] for version in loaded if version_key(version)[0] == major}
    lower = {number for number in minors if number <= minor}
    if lower:
        assert version_key(found) == (major, max(lower))
    elif minors:
        assert version_key(found) == (major, min(minors))
    else:
        assert version_key(found) == max(map(version_key, loaded))
