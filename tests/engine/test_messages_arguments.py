"""Execute arguments (LwM2M Core 1.2, 6.3.5)."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwm2m_engine.errors import ValueRejected
from lwm2m_engine.messages.arguments import parse_arguments

EVERY_CHARACTER = "`" + string.ascii_letters + string.digits + "-=~!@#$%^&*()_+[]{}|;:<>/?,."


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("3='stringValue'", [(3, "stringValue")]),
        ("3='stringValue',4", [(3, "stringValue"), (4, None)]),
        ("", []),
        ("3=''", [(3, "")]),
        ("3=',',4", [(3, ","), (4, None)]),
        ("3='=',4", [(3, "="), (4, None)]),
        ("0,1='ab',2", [(0, None), (1, "ab"), (2, None)]),
        (f"0='{EVERY_CHARACTER}'", [(0, EVERY_CHARACTER)]),
    ],
)
def test_arguments_are_parsed(text, arguments):
    assert list(parse_arguments(text)) == arguments


@pytest.mark.parametrize(
    "text",
    ["4,4", "a='hello'", "3'hello'", "3=hello", "3=string,4='Value'", "-1", "10", "0='a b'",
     "0='\"'", "0='''",
     "0='\\'", "0='\x7f'", "0='ä'", ",", "0,", ",0", "0,,1", "0 ", "0\n", "0='a'b", "0="],
)  # fmt: skip
def test_what_leaves_the_grammar_is_refused(text):
    with pytest.raises(ValueRejected):
        parse_arguments(text)


def test_the_place_is_named():
    with pytest.raises(ValueRejected, match="character 7"):
        parse_arguments("0='a',x")


@given(st.text("0123456789,='ab ", max_size=20))
def test_any_text_is_arguments_or_rejected(text):
    try:
        found = parse_arguments(text)
    except ValueRejected:
        return
    assert ",".join(f"{digit}" if value is None else f"{digit}='{value}'" for digit, value in found) == text
