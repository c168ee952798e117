"""Every bad input raises one typed error, which names the file, the place, and a way out."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from scripts import run
from small import MOVIE, PLANE, SEGMENTATION, TRACES, edited, frames

import nwb_ophys as nwb
from nwb_ophys import errors


def test_every_error_is_also_the_builtin_that_one_would_catch() -> None:
    builtin = {
        "ClosedError": ValueError,
        "DataError": OSError,
        "FileAccessError": OSError,
        "FileChangedError": OSError,
        "FileExistsNWBError": FileExistsError,
        "FileIsFolderError": IsADirectoryError,
        "FileLockedError": BlockingIOError,
        "FileMissingError": FileNotFoundError,
        "FilePermissionError": PermissionError,
        "LinkError": LookupError,
        "MemberNotFoundError": KeyError,
        "NotNWBError": ValueError,
        "SchemaError": ValueError,
        "TooLargeError": MemoryError,
        "UnsafePickleError": ValueError,
    }
    shown = {"SchemaUpgradeWarning", "UnsavedChangesWarning"}
    assert {*builtin, "NWBError"} | shown == set(errors.__all__)
    for name, base in builtin.items():
        kind = getattr(nwb, name)
        assert issubclass(kind, nwb.NWBError)
        assert issubclass(kind, base)
        error = kind("expected x", file="a.nwb", path="/p", field="f", hint="do y")
        assert str(error) == "a.nwb, /p, field 'f': expected x (do y)"


# -- files that cannot be opened -----------------------------------------------------------------


@pytest.mark.parametrize("function", [nwb.open, nwb.read])
class TestOpening:
    def test_missing_path(self, function: Any, tmp_path: Path) -> None:
        wanted = tmp_path / "none.nwb"
        with pytest.raises(
            nwb.FileMissingError, match=re.escape(f"{wanted}: there is no such file")
        ):
            function(wanted)

    def test_missing_folder(self, function: Any, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match=r"no/such\.nwb: there is no such file"):
            function(tmp_path / "no" / "such.nwb")

    def test_file_used_as_a_folder(self, function: Any, path: Path) -> None:
        with pytest.raises(nwb.FileAccessError, match=r"small\.nwb/x\.nwb: there is no such file"):
            function(path / "x.nwb")

    def test_dangling_symbolic_link(self, function: Any, tmp_path: Path) -> None:
        (tmp_path / "a.nwb").symlink_to(tmp_path / "gone.nwb")
        with pytest.raises(nwb.FileMissingError, match=r"a\.nwb: there is no such file"):
            function(tmp_path / "a.nwb")

    def test_folder(self, function: Any, tmp_path: Path) -> None:
        with pytest.raises(
            nwb.FileIsFolderError,
            match=re.escape(f"{tmp_path}: expected an NWB file, found a folder (name a file"),
        ):
            function(tmp_path)

    def test_empty_file(self, function: Any, tmp_path: Path) -> None:
        (tmp_path / "a.nwb").touch()
        with pytest.raises(
            nwb.NotNWBError, match=r"a\.nwb: expected an NWB file, found an empty one"
        ):
            function(tmp_path / "a.nwb")

    @pytest.mark.parametrize("content", [b"x", b"subject,age\n" * 400])
    def test_text_file(self, function: Any, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "a.nwb").write_bytes(content)
        message = f"expected an HDF5 file, found one that begins with {content[:16]!r} (NWB files"
        with pytest.raises(nwb.NotNWBError, match=re.escape(message)):
            function(tmp_path / "a.nwb")

    @pytest.mark.parametrize("fraction", [0.001, 0.01, 0.3, 0.5, 0.9, 0.9999])
    def test_truncated_file(self, function: Any, path: Path, fraction: float) -> None:
        os.truncate(path, max(9, int(path.stat().st_size * fraction)))
        with pytest.raises(nwb.NotNWBError, match=r"small\.nwb: the file is (truncated|no whole)"):
            function(path)

    def test_truncation_says_what_to_do(self, function: Any, path: Path) -> None:
        os.truncate(path, path.stat().st_size - 1)
        with pytest.raises(nwb.NotNWBError, match=r"truncated.*\(its copying or writing was int"):
            function(path)

    def test_hdf5_without_version(self, function: Any, tmp_path: Path) -> None:
        with h5py.File(tmp_path / "a.nwb", "w") as file:
            file["x"] = 1
        message = (
            r"a\.nwb, /, field 'nwb_version': expected an NWB file, found an HDF5 file without "
            "the attribute nwb_version"
        )
        with pytest.raises(nwb.NotNWBError, match=message):
            function(tmp_path / "a.nwb")

    @pytest.mark.parametrize("version", ["NWB-1.0.6", b"NWB-1.0.5_beta", np.bytes_("1.0")])
    def test_nwb_1(self, function: Any, tmp_path: Path, version: Any) -> None:
        with h5py.File(tmp_path / "a.nwb", "w") as file:
            file["nwb_version"] = version
        with pytest.raises(nwb.NotNWBError, match=r"expected NWB version 2, found '(NWB-)?1\.0"):
            function(tmp_path / "a.nwb")

    @pytest.mark.parametrize(
        "version", [2.0, np.array([1, 2]), h5py.Empty("f4"), "3.0", "20.1", ""]
    )
    def test_strange_version(self, function: Any, path: Path, version: Any) -> None:
        edited(path, lambda file: file.attrs.__setitem__("nwb_version", version))
        with pytest.raises(nwb.NotNWBError, match=r"field 'nwb_version': expected"):
            function(path)


def test_an_object_that_is_no_nwb_file_is_told_by_its_name() -> None:
    stream = io.BytesIO(b"something else altogether")
    stream.name = "upload"  # type: ignore[attr-defined]
    with pytest.raises(nwb.NotNWBError, match="upload: expected an HDF5 file, found one"):
        nwb.open(stream)


def test_a_truncated_file_object_is_refused(path: Path) -> None:
    content = path.read_bytes()
    with pytest.raises(nwb.NotNWBError, match="truncated"):
        nwb.open(io.BytesIO(content[: len(content) // 2]))


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (None, "expected a path or an open binary file object, found None"),
        (3, "expected a path or an open binary file object, found 3 of type int"),
        (io.StringIO("a"), r"expected a file that is open as binary.*open\(path, 'rb'\)"),
    ],
)
def test_what_is_no_path(target: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        nwb.open(target)


def test_paths_of_bytes_and_of_other_places(path: Path) -> None:
    nwb.open(os.fsencode(path)).close()
    with h5py.File(path) as file, pytest.raises(TypeError, match=r"give its path: file\.filename"):
        nwb.open(file)  # type: ignore[arg-type]
    with pytest.raises(nwb.FileMissingError, match=r"x\.nwb: there .* \(remote files are not read"):
        nwb.open("https://example.org/x.nwb")


@pytest.mark.parametrize(
    ("place", "name", "value", "read"),
    [
        (f"{MOVIE}/data", "conversion", "two", lambda movie: movie.data.to_unit(0)),
        (f"{MOVIE}/starting_time", "rate", "fast", lambda movie: movie.get_timestamps()),
    ],
)
def test_what_is_to_be_reckoned_with_and_no_number(
    path: Path, place: str, name: str, value: Any, read: Any
) -> None:
    edited(path, lambda file: file[place].attrs.__setitem__(name, value))
    with nwb.open(path) as session:
        message = rf"{path}, {place}, field '{name}': expected numbers, found '{value}'"
        with pytest.raises(nwb.SchemaError, match=message):
            read(session[MOVIE])
    edited(path, lambda file: file[place].attrs.__setitem__(name, np.array([2.0])))
    with nwb.open(path) as session:
        read(session[MOVIE])


@pytest.mark.parametrize("option", [{"mode": "w"}, {"external_links": "some"}])
def test_unknown_options(path: Path, option: Any) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(next(iter(option.values()))))):
        nwb.open(path, **option)


@pytest.mark.skipif(not hasattr(os, "setuid"), reason="rights are those of POSIX")
def test_permission_denied(path: Path) -> None:
    path.chmod(0)
    for folder in list(path.parents)[:3]:
        folder.chmod(0o755)
    code = """
        import os, sys
        import h5py, nwb_ophys as nwb
        nwb.open, nwb.FilePermissionError, nwb.NWBFile  # loaded while that is still allowed
        if os.getuid() == 0:
            os.setuid(65534)
        try:
            nwb.open(sys.argv[1])
        except PermissionError as error:
            assert isinstance(error, nwb.FilePermissionError)
            print(error)
    """
    done = run(code, path)
    expected = f"{path}: permission denied (check the owner and the mode of the file)\n"
    assert done.stdout == expected, done.stderr


@pytest.fixture
def writer(path: Path) -> Iterator[subprocess.Popen[str]]:
    code = "import h5py, sys; f = h5py.File(sys.argv[1], 'r+'); print('open', flush=True); input()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "HDF5_USE_FILE_LOCKING": "TRUE"},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    yield process
    process.communicate("\n", timeout=30)


@pytest.mark.usefixtures("writer")
def test_locked_by_a_writer(path: Path) -> None:
    with pytest.raises(
        nwb.FileLockedError, match=r"small\.nwb: the file is locked.*\(close the file"
    ):
        nwb.open(path)


# -- links and references that lead nowhere ------------------------------------------------------


def test_dangling_soft_link(path: Path) -> None:
    edited(path, lambda file: file.move("general/optophysiology/plane", "general/gone"))
    with nwb.open(path) as session:
        movie = session["/acquisition/movie"]
        message = (
            f"{path}, {MOVIE}/imaging_plane: dangling soft link: its target {PLANE} is not there "
            "(the object it led to was deleted or renamed)"
        )
        for _ in range(2):
            with pytest.raises(nwb.LinkError, match=re.escape(message)):
                _ = movie.imaging_plane
        assert movie.data.shape == frames().shape
        assert [(p.path, p.field, p.rule) for p in session.problems] == [
            (MOVIE, "imaging_plane", "link")
        ]
        assert "movie" in repr(movie)


def test_dangling_member_of_a_collection(path: Path) -> None:
    edited(path, lambda f: f.__setitem__("acquisition/lost", h5py.SoftLink("/acquisition/none")))
    with nwb.open(path) as session:
        assert list(session.acquisition) == ["lost", "movie"]
        with pytest.raises(nwb.LinkError, match=r"/acquisition/lost: dangling soft link"):
            session.acquisition["lost"]
        assert "lost" not in [getattr(model, "name", "") for model in session.walk()]


def test_external_link_whose_file_is_missing(path: Path) -> None:
    edited(
        path,
        lambda f: f.__setitem__(
            "acquisition/far", h5py.ExternalLink("sub/gone.nwb", "/acquisition/x")
        ),
    )
    with nwb.open(path) as session:
        message = (
            f"{path}, /acquisition/far: the external link leads to 'sub/gone.nwb', which cannot be "
            f"opened: {path.parent}/sub/gone.nwb: there is no such file"
        )
        with pytest.raises(nwb.LinkError, match=re.escape(message)):
            session.acquisition["far"]


def test_external_link_to_an_object_that_is_missing(path: Path, pristine: Path) -> None:
    shutil.copy(pristine, path.parent / "other.nwb")
    edited(
        path,
        lambda f: f.__setitem__(
            "acquisition/far", h5py.ExternalLink("other.nwb", "/acquisition/x")
        ),
    )
    with nwb.open(path) as session:
        message = "dangling external link: its target /acquisition/x of other.nwb is not there"
        with pytest.raises(nwb.LinkError, match=message):
            session.acquisition["far"]


def test_soft_links_in_a_circle(path: Path) -> None:
    def edit(file: h5py.File) -> None:
        file["acquisition/a"] = h5py.SoftLink("/acquisition/b")
        file["acquisition/b"] = h5py.SoftLink("/acquisition/a")
        file["acquisition/self"] = h5py.SoftLink("self/data")

    edited(path, edit)
    with nwb.open(path) as session:
        for name in ("a", "b", "self"):
            with pytest.raises(
                nwb.LinkError, match=r"/acquisition/\w+: the links lead in a circle"
            ):
                session.acquisition[name]
        assert len(list(session.find(nwb.TwoPhotonSeries))) == 1


def test_external_links_in_a_circle(path: Path) -> None:
    other = path.parent / "other.nwb"
    with h5py.File(other, "w") as file:
        file["x"] = h5py.ExternalLink("small.nwb", "/acquisition/x")
    edited(path, lambda f: f.__setitem__("acquisition/x", h5py.ExternalLink("other.nwb", "/x")))
    with (
        nwb.open(path) as session,
        pytest.raises(nwb.LinkError, match="the links lead in a circle"),
    ):
        session.acquisition["x"]


def test_hard_links_in_a_circle(path: Path) -> None:
    def edit(file: h5py.File) -> None:
        file["processing/ophys/up"] = file["processing"]
        file["acquisition/movie/self"] = file["acquisition/movie"]

    edited(path, edit)
    with nwb.open(path) as session:
        movie = session.acquisition["movie"]
        assert movie.children["self"] is movie
        assert session["/processing/ophys/up/ophys"] is session.processing["ophys"]
        assert len(list(session.find(nwb.TwoPhotonSeries))) == 1
        assert repr(session.processing["ophys"].children["up"])
        nwb.write(session, path.parent / "copy.nwb")
    assert nwb.diff(path, path.parent / "copy.nwb") == []
    nwb.read(path)


def test_null_references(path: Path) -> None:
    def edit(file: h5py.File) -> None:
        file[f"{TRACES}/rois"].attrs["table"] = h5py.Reference()
        file["acquisition/movie"].attrs["seen"] = h5py.Reference()

    edited(path, edit)
    with nwb.open(path) as session:
        rois = session[TRACES].rois
        assert rois.table is None
        assert session.acquisition["movie"].attrs["seen"] is None
        [problem] = session.problems
        assert (problem.path, problem.field) == (f"{TRACES}/rois", "table")
        assert problem.message == "the object reference leads to nothing"
        with pytest.raises(
            nwb.SchemaError, match=f"{TRACES}/rois, field 'table': the region has no table"
        ):
            rois[0]


def test_reference_to_a_deleted_object(path: Path) -> None:
    def edit(file: h5py.File) -> None:
        file["scratch/here"] = [1, 2]
        file["acquisition/movie"].attrs["seen"] = file["scratch/here"].ref
        file["scratch/list"] = np.array([file["scratch/here"].ref], h5py.ref_dtype)
        del file["scratch/here"]
        del file[SEGMENTATION]

    edited(path, edit)
    message = "an object reference leads to an object that is not in the file"
    with nwb.open(path) as session:
        with pytest.raises(nwb.LinkError, match=f"{TRACES}/rois: {message}.*was deleted"):
            _ = session[TRACES].rois.table
        with pytest.raises(nwb.LinkError, match=f"{MOVIE}: {message}"):
            session.acquisition["movie"].attrs["seen"]
        with pytest.raises(nwb.LinkError, match=f"/scratch/list: {message}"):
            session["/scratch/list"].array[0]
        assert [(p.path, p.field, p.rule) for p in session.problems] == [
            (MOVIE, "seen", "link"),
            (f"{TRACES}/rois", "table", "link"),
        ]
