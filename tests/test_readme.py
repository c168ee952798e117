"""The README keeps its promises: its examples run, in order, as a newcomer would run them."""

import contextlib
import io
import os
import re
from pathlib import Path

import pytest

import nwb_ophys
from nwb_ophys import cli

README = Path(__file__).parents[1] / "README.md"
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README.read_text("utf-8"), re.MULTILINE | re.DOTALL)
EXAMPLES = [code for language, code in BLOCKS if language == "python"]


def test_the_first_shell_block_is_the_way_in():
    shell = [code for language, code in BLOCKS if language in ("sh", "bash", "shell", "console")]
    assert shell[0] == "pip install . && nwb-ophys demo\npip install '.[test]' && pytest\n"


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Run all examples in one namespace, in an empty folder; collect what each prints."""
    home = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("readme"))
    names = {}
    found = []
    try:
        for code in EXAMPLES:
            output = io.StringIO()
            try:
                with contextlib.redirect_stdout(output):
                    exec(compile(code, f"README.md:{line_of(code)}", "exec"), names)
            except Exception as error:
                found.append(error)
            else:
                found.append(output.getvalue())
        yield found
    finally:
        os.chdir(home)


def line_of(code):
    text = README.read_text("utf-8")
    return text[: text.index(code)].count("\n") + 1


@pytest.mark.parametrize(
    "number", range(len(EXAMPLES)), ids=lambda i: f"line-{line_of(EXAMPLES[i])}"
)
def test_example_runs(results, number):
    if isinstance(results[number], Exception):
        raise results[number]


def test_what_diff_prints_is_what_it_says(results):
    printed = next(out for code, out in zip(EXAMPLES, results, strict=True) if "nwb.diff" in code)
    assert printed
    assert printed in [code for language, code in BLOCKS if language == "text"]


def test_the_problem_of_the_broken_file_is_listed(results):
    printed = next(out for code, out in zip(EXAMPLES, results, strict=True) if ".problems" in code)
    assert "/acquisition/TwoPhotonSeries/data, field 'unit'" in printed


@pytest.mark.parametrize("name", re.findall(r"nwb-ophys ([a-z]+) ", README.read_text("utf-8")))
def test_every_command_that_is_named_is_there(name):
    assert name in cli.COMMANDS


@pytest.mark.parametrize(
    "name", sorted(set(re.findall(r"\bnwb\.([A-Za-z_]+)\(", "".join(EXAMPLES))))
)
def test_every_name_that_is_used_is_public(name):
    assert name in dir(nwb_ophys)


def test_every_file_of_the_design_is_there():
    table = README.read_text("utf-8").split("## How it is built")[1]
    for name in re.findall(r"`([a-z0-9_]+(?:\.py|/))`", table):
        assert (README.parent / "nwb_ophys" / name).exists(), name
