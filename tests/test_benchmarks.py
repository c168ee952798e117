"""The benchmarks run and report; how fast anything is, is not tested."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.cli import main
from benchmarks.registry import BENCHMARKS, GROWTHS, at_most, faster
from benchmarks.timing import Comparison, spread


def test_table_and_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = tmp_path / "results.json"
    assert main(["--small", "--json", str(results), "open-growth", "objects"]) == 0

    heading, rule, row, growth = capsys.readouterr().out.splitlines()
    assert heading.split() == [
        *("work", "against", "ours", "theirs", "ratio", "(spread)", "target", "reached")
    ]
    assert set(rule) == {"-"}
    assert row.startswith("open a file of 50 TimeSeries  ours, of 5")
    assert "<= 1.5x" in row
    assert growth.startswith("open, by number of TimeSeries in the file: 5: ")

    written = json.loads(results.read_text())
    assert written["scale"] == "small"
    assert written["machine"]["packages"]["h5py"]
    (result,) = written["results"]
    assert result["name"] == "open-growth"
    assert len(result["ours"]) == len(result["theirs"]) > 0
    assert result["ratio_is"] == "ours / theirs"
    assert result["target"] == 1.5
    assert isinstance(result["reached"], bool)
    (result,) = written["growth"]
    assert result["seconds"].keys() == {"5", "50"}


def test_a_benchmark_that_fails_is_shown_and_told_by_the_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(path: Path) -> None:
        raise OSError("out of order")

    monkeypatch.setattr("benchmarks.objects._open", fail)
    assert main(["--small", "open-growth"]) == 1
    printed = capsys.readouterr()
    assert "open-growth: failed" in printed.out
    assert "out of order" in printed.err


def test_an_unknown_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_info:
        main(["speed"])
    assert exit_info.value.code == 2
    assert "no benchmark is named 'speed'" in capsys.readouterr().err


def test_names_are_unique() -> None:
    assert not BENCHMARKS.keys() & GROWTHS.keys()


def test_ratios_and_targets() -> None:
    comparison = Comparison(ours=[1.0, 1.0, 2.0], theirs=[2.0, 4.0, 8.0])
    assert comparison.speedups == [2.0, 4.0, 4.0]
    assert faster(4).reached(comparison)
    assert not faster(4.1).reached(comparison)
    assert at_most(0.25).reached(comparison)
    assert not at_most(0.2).reached(comparison)
    assert str(faster(0.95)) == ">= 0.95x"
    assert str(at_most(1.5)) == "<= 1.5x"


def test_spread() -> None:
    assert spread([3.0]) == 0.0
    assert spread([1.0, 2.0, 3.0]) == pytest.approx(0.25)
