"""The command line: exit statuses, what goes where, and messages."""

import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime

import h5py
import pytest
from scripts import printed

import nwb_ophys as nwb
from nwb_ophys import cli


@pytest.fixture
def path(tmp_path):
    session = nwb.NWBFile(
        identifier="m1",
        session_description="a session",
        session_start_time=datetime(2026, 1, 2, tzinfo=UTC),
    )
    return nwb.write(session, tmp_path / "a.nwb")


@pytest.fixture
def changed(path):
    copy = shutil.copyfile(path, path.with_name("b.nwb"))
    with h5py.File(copy, "r+") as file:
        file["identifier"][()] = "m2"
        file["general/notes"] = "new"
    return copy


def run(capsys, *arguments):
    status = cli.main([*map(str, arguments)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def command(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "nwb_ophys.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


def test_version(capsys):
    with pytest.raises(SystemExit, match="0"):
        cli.main(["--version"])
    assert capsys.readouterr().out == f"nwb-ophys {nwb.__version__}\n"


def test_help_names_every_command(capsys):
    with pytest.raises(SystemExit, match="0"):
        cli.main(["--help"])
    text = capsys.readouterr().out
    for name, one in cli.COMMANDS.items():
        assert re.search(rf"^ +{name} +{re.escape(one.summary)}$", text, re.M)


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_has_help(capsys, name):
    with pytest.raises(SystemExit, match="0"):
        cli.main([name, "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert cli.COMMANDS[name].summary[1:] in text
    assert cli.COMMANDS[name].details in text


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["diff", "one"], ["tree", "x", "-d", "x"]])
def test_wrong_arguments_end_with_2(capsys, arguments):
    with pytest.raises(SystemExit, match="2"):
        cli.main(arguments)
    assert "usage: nwb-ophys" in capsys.readouterr().err


def test_tree(capsys, path):
    status, out, err = run(capsys, "tree", path)
    assert (status, err) == (0, "")
    assert out.startswith("/  NWBFile, NWB 2.11.0\n")
    assert "\n  identifier  text = 'm1'\n" in out
    assert "@" not in out


def test_tree_with_attributes_and_depth(capsys, path):
    _, out, _ = run(capsys, "tree", path, "--attributes", "--depth", 0)
    assert "  @nwb_version = '2.11.0'\n" in out
    assert "identifier" not in out


def test_diff_of_equal_files_is_silent(capsys, path):
    assert run(capsys, "diff", path, path) == (0, "", "")


def test_diff_of_different_files_ends_with_1(capsys, path, changed):
    assert run(capsys, "diff", path, changed) == (
        1,
        "/general/notes: only in b: text\n/identifier: the value differs: 'm1' in a, 'm2' in b\n",
        "",
    )


@pytest.mark.parametrize("arguments", [["tree"], ["diff"]])
def test_errors_end_with_2_and_one_line(capsys, path, arguments):
    for name, message in (
        ("none.nwb", "there is no such file"),
        (".", "expected an NWB file, found a folder"),
    ):
        bad = path.parent / name
        given = [*arguments, bad, path][: 3 if arguments == ["diff"] else 2]
        status, out, err = run(capsys, *given)
        assert (status, out) == (2, "")
        assert re.fullmatch(rf"nwb-ophys: {re.escape(str(bad))}: {message}.*\n", err)


def test_fixture(capsys, tmp_path):
    out = tmp_path / "made.nwb"
    kind = sorted(_kinds())[0]
    assert run(capsys, "fixture", kind, out) == (0, f"{out}\n", "")
    with nwb.open(out) as session:
        assert session.identifier
    status, _, err = run(capsys, "fixture", kind, out)
    assert status == 2
    assert str(out) in err
    assert run(capsys, "fixture", kind, out, "--overwrite", "--seed", 1)[0] == 0


def test_what_is_there_is_overwritten_by_an_option(capsys, path):
    status, _, err = run(capsys, "fixture", "minimal", path)
    assert status == 2
    assert err.endswith("the target exists (choose another name, or --overwrite)\n")
    assert run(capsys, "fixture", "minimal", path, "--overwrite")[0] == 0


def test_every_rule_of_a_problem_is_explained(capsys, path):
    with h5py.File(path, "r+") as file:
        table = file["acquisition"].create_group("t")
        table.attrs.update(
            neurodata_type="DynamicTable", namespace="hdmf-common", colnames=["x"], description="d"
        )
    with nwb.open(path) as session:
        assert session.acquisition["t"].columns == {}
        rules = {problem.rule for problem in session.problems}
    assert "columns" in rules
    for rule in rules:
        assert run(capsys, "validate", "--explain", rule)[0] == 0


def test_the_package_runs_as_a_module(path):
    done = subprocess.run(
        [sys.executable, "-m", "nwb_ophys", "diff", path, path], capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, b"")


def test_an_unknown_fixture_is_answered_with_the_kinds(capsys, tmp_path):
    status, _, err = run(capsys, "fixture", "nonsense", tmp_path / "made.nwb")
    assert status == 2
    assert "there is no kind 'nonsense' of fixture" in err
    assert all(kind in err for kind in _kinds())
    assert not [*tmp_path.iterdir()]


def _kinds():
    from nwb_ophys.testing import KINDS

    return KINDS


def test_a_reader_that_goes_away_is_no_error(path):
    with h5py.File(path, "r+") as file:
        for i in range(5000):
            file.create_group(f"general/{i:080}")
    process = subprocess.Popen(
        [sys.executable, "-m", "nwb_ophys.cli", "tree", str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(timeout=60) == 141


def test_text_that_cannot_be_shown_is_escaped(path):
    with h5py.File(path, "r+") as file:
        file["general/notes"] = "café".encode("latin-1")
        file["general/lab"] = "μ"
    done = command("tree", path, env={"PYTHONIOENCODING": "ascii"})
    assert (done.returncode, done.stderr) == (0, "")
    assert r"lab  text = '\u03bc'" in done.stdout
    assert r"notes  text = 'caf\udce9'" in done.stdout


def test_looking_at_a_file_loads_no_models(path):
    code = (
        "import sys; from nwb_ophys.cli import main; "
        f"main(['diff', {str(path)!r}, {str(path)!r}]); main(['tree', {str(path)!r}]); "
        "assert 'pydantic' not in sys.modules, 'pydantic'"
    )
    printed(code)
