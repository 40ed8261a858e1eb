from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.spec.micro_limits import FIELDS, Limit, fits, parse_limit, read_micro_limits

NUMBERS = st.floats(min_value=0, max_value=1e6, allow_nan=False)


@given(st.sampled_from(FIELDS), NUMBERS, st.booleans())
def test_what_a_limit_says_is_read_back(field, number, percent):
    limit = parse_limit(f"{field}:{number!r}{'%' if percent else ''}")
    assert limit.field == field
    if percent:
        assert limit.share == pytest.approx(number / 100)
        assert limit.seconds is None
    else:
        assert limit.seconds == number
        assert limit.share is None
    assert parse_limit(limit.text).field == field


@given(st.text(max_size=12))
def test_any_other_text_is_refused_in_one_line(text):
    try:
        limit = parse_limit(text)
    except UsageError as error:
        assert "such as median:10% or max:0.001" in str(error)
    else:
        assert limit.field in FIELDS


@pytest.mark.parametrize(
    "text",
    ["", "median", "median:", "median:%", "median:-1%", "median:10 %", "ops:10%", "median:nan",
     "median:10%%", "mean:10% min:5%", "median:inf"],
)  # fmt: skip
def test_no_limit(text):
    with pytest.raises(UsageError, match="--fail is"):
        parse_limit(text)


def test_limits_as_users_write_them():
    assert parse_limit("mean:5%") == Limit(field="mean", share=0.05)
    assert parse_limit("min:0.001") == Limit(field="min", seconds=0.001)
    assert parse_limit("stddev:1e-6") == Limit(field="stddev", seconds=1e-6)
    assert parse_limit("Median:10%").text == "median:10%"


@pytest.mark.parametrize(
    ("pattern", "fitting"),
    [
        ("f/test_layer[eager-32-conv1-forward]", True),
        ("f/test_layer[*conv1*]", True),
        ("*/test_layer[eager-??-conv1-*", True),
        ("f/*", True),
        ("f/test_layer", False),
        ("f/test_layer[eager-1-conv1-forward]", False),
        ("F/*", False),
    ],
)
def test_brackets_in_patterns_are_brackets(pattern, fitting):
    assert fits(pattern, "f/test_layer[eager-32-conv1-forward]") is fitting


SETTINGS = """
[tool.levelfield.micro]
fail = ["median:10%", "max:0.01"]

[tool.levelfield.micro.overrides]
"f/test_latency*" = "min:50%"
"*/test_copy" = []
"f/*" = ["mean:1%", "iqr:2%"]
"""


def test_limits_of_a_repository(tmp_path):
    (tmp_path / "pyproject.toml").write_text(SETTINGS)
    found = read_micro_limits(tmp_path, [])
    said = {key: [one.text for one in found.of(key)] for key in KEYS}
    assert said == {
        "f/test_latency[eager]": ["min:50%"],
        "f/test_copy": [],
        "f/test_forward[eager-1]": ["mean:1%", "iqr:2%"],
        "g/test_forward[eager-1]": ["median:10%", "max:0.01"],
    }


KEYS = (
    "f/test_latency[eager]",
    "f/test_copy",
    "f/test_forward[eager-1]",
    "g/test_forward[eager-1]",
)


def test_the_command_line_takes_the_place_of_the_usual_limits_alone(tmp_path):
    (tmp_path / "pyproject.toml").write_text(SETTINGS)
    found = read_micro_limits(tmp_path, ["mean:7%"])
    assert [one.text for one in found.usual] == ["mean:7%"]
    assert [one.text for one in found.of("f/test_latency[eager]")] == ["min:50%"]


def test_overrides_alone_ask_for_no_comparison(tmp_path):
    text = SETTINGS.replace('fail = ["median:10%", "max:0.01"]', "")
    (tmp_path / "pyproject.toml").write_text(text)
    assert read_micro_limits(tmp_path, []).of("f/test_latency[eager]") == ()
    assert read_micro_limits(tmp_path / "nowhere", []).usual == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[tool.levelfield.micro]\nfail = 'median'", "Expected `array`"),
        ("[tool.levelfield.micro]\nfail = ['median']", r"fail is 'median', expected FIELD"),
        ("[tool.levelfield.micro]\nfailing = []", "unknown field `failing`"),
        (
            "[tool.levelfield.micro]\nfail=['min:1%']\n[tool.levelfield.micro.overrides]\n'a/*'='b'",
            r"'a/\*' is 'b', expected FIELD",
        ),
        ("[tool", "can't be read"),
    ],
)
def test_a_wrong_setting_names_its_file(tmp_path, text, said):
    (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(UsageError, match=said) as error:
        read_micro_limits(tmp_path, [])
    assert str(tmp_path / "pyproject.toml") in str(error.value)
