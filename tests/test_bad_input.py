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
from h5py import h5d, h5p, h5s, h5t, h5z
from scripts import run
from small import MOVIE, PLANE, SEGMENTATION, TRACES, edited, frames, small_session

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


# -- what may be followed ------------------------------------------------------------------------


class TestExternal:
    """Nothing outside of the folder is opened unless the caller allows it."""

    @pytest.fixture
    def places(self, path: Path, pristine: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
        outside = tmp_path_factory.mktemp("outside")
        shutil.copy(pristine, outside / "other.nwb")
        (path.parent / "below").mkdir()
        shutil.copy(pristine, path.parent / "below" / "other.nwb")
        frames().astype("<i2").tofile(outside / "raw.bin")
        frames().astype("<i2").tofile(path.parent / "raw.bin")
        way = os.path.relpath(outside, path.parent)
        shape = frames().shape

        def edit(file: h5py.File) -> None:
            acquisition = file["acquisition"]
            for name, folder in (("in", "below"), ("out", way), ("abs", str(outside))):
                other = f"{folder}/other.nwb"
                acquisition[f"link_{name}"] = h5py.ExternalLink(other, MOVIE)
                layout = h5py.VirtualLayout(shape, "i2")
                layout[:] = h5py.VirtualSource(other, f"{MOVIE}/data", shape)
                acquisition.create_virtual_dataset(f"virtual_{name}", layout)
                raw = str(path.parent / "raw.bin") if name == "in" else f"{folder}/raw.bin"
                acquisition.create_dataset(
                    f"raw_{name}", shape, "i2", external=[(raw, 0, h5py.h5f.UNLIMITED)]
                )

        edited(path, edit)
        return path

    @pytest.mark.parametrize("policy", ["folder", "none"])
    @pytest.mark.parametrize("name", ["in", "out", "abs"])
    def test_link(self, places: Path, policy: Any, name: str) -> None:
        with nwb.open(places, external_links=policy) as session:
            if (policy, name) == ("folder", "in"):
                assert session.acquisition["link_in"].data[3, 5, 2] == frames()[3, 5, 2]
                return
            message = rf"/acquisition/link_{name}: .*other\.nwb', which may not be opened"
            with pytest.raises(nwb.LinkError, match=message):
                session.acquisition[f"link_{name}"]

    @pytest.mark.parametrize("name", ["in", "out", "abs"])
    def test_data_of_a_file_in_memory(self, places: Path, name: str) -> None:
        """HDF5 would fill in zeros for the sources of a virtual dataset that it does not find."""
        everything = nwb.read(places, external_links="all")
        np.testing.assert_array_equal(everything[f"/acquisition/virtual_{name}"], frames())
        np.testing.assert_array_equal(everything[f"/acquisition/raw_{name}"], frames())
        with (
            places.open("rb") as file,
            nwb.open(file, external_links="all") as session,
        ):
            np.testing.assert_array_equal(session[f"/acquisition/virtual_{name}"], frames())
            np.testing.assert_array_equal(session[f"/acquisition/raw_{name}"], frames())

    @pytest.mark.parametrize("kind", ["virtual", "raw"])
    def test_data_in_other_files_are_given_to_another_session(
        self, places: Path, tmp_path: Path, kind: str
    ) -> None:
        made = small_session()
        with nwb.open(places, external_links="all") as session:
            array = session[f"/acquisition/{kind}_out"].array
            made.acquisition.add(nwb.TimeSeries(name="s", data=array, unit="n.a.", rate=1.0))
            nwb.write(made, tmp_path / "out.nwb")
        with h5py.File(tmp_path / "out.nwb") as file:
            np.testing.assert_array_equal(file["acquisition/s/data"], frames())

    def test_a_source_that_is_missing_is_a_problem(self, places: Path) -> None:
        def missing() -> list[str]:
            return [p.path for p in nwb.validate(places) if "which is not there" in p.message]

        assert missing() == []
        (places.parent / "below" / "other.nwb").unlink()
        assert missing() == ["/acquisition/virtual_in"]
        (places.parent / "raw.bin").unlink()
        assert missing() == ["/acquisition/raw_in", "/acquisition/virtual_in"]

    @pytest.mark.parametrize("policy", ["folder", "none"])
    @pytest.mark.parametrize("kind", ["virtual", "raw"])
    @pytest.mark.parametrize("name", ["in", "out", "abs"])
    def test_data(self, places: Path, policy: Any, kind: str, name: str) -> None:
        with nwb.open(places, external_links=policy) as session:
            array = session[f"/acquisition/{kind}_{name}"].array
            assert array.shape == frames().shape
            if (policy, name) == ("folder", "in"):
                np.testing.assert_array_equal(array, frames())
                return
            message = rf"/acquisition/{kind}_{name}: the data lie in another file, .*may not be op"
            with pytest.raises(nwb.LinkError, match=message):
                array[0]

    def test_the_error_says_how_to_allow_it(self, places: Path) -> None:
        with nwb.open(places) as session:
            allow = r'below the folder.*open\(\.\.\., external_links="all"\) allows others'
            with pytest.raises(nwb.LinkError, match=allow):
                session.acquisition["link_out"]
            with pytest.raises(nwb.LinkError, match=allow):
                session["/acquisition/raw_out"].array[0]
        with nwb.open(places, external_links="none") as session:
            allow = r"external_links=\"folder\""
            with pytest.raises(nwb.LinkError, match=allow):
                session.acquisition["link_in"]

    def test_all(self, places: Path) -> None:
        with nwb.open(places, external_links="all") as session:
            for name in ("in", "out", "abs"):
                np.testing.assert_array_equal(session.acquisition[f"link_{name}"].data, frames())
                for kind in ("virtual", "raw"):
                    array = session[f"/acquisition/{kind}_{name}"].array
                    np.testing.assert_array_equal(array, frames())

    def test_a_symbolic_link_leads_outside(self, path: Path, places: Path) -> None:
        with h5py.File(places) as file:
            target = file["acquisition"].get("link_abs", getlink=True).filename
        (path.parent / "alias.nwb").symlink_to(target)
        edited(
            path, lambda f: f.__setitem__("acquisition/y", h5py.ExternalLink("alias.nwb", MOVIE))
        )
        with nwb.open(path) as session, pytest.raises(nwb.LinkError, match="may not be opened"):
            session.acquisition["y"]

    def test_another_file_is_bound_to_the_folder_of_the_first(
        self, path: Path, places: Path, pristine: Path
    ) -> None:
        # Otherwise a chain of links would lead anywhere, one step at a time.
        inner = places.parent / "below" / "other.nwb"
        edited(
            inner,
            lambda f: f.__setitem__("acquisition/back", h5py.ExternalLink("../small.nwb", MOVIE)),
        )
        edited(
            path,
            lambda f: f.__setitem__(
                "acquisition/there", h5py.ExternalLink("below/other.nwb", "/acquisition/back")
            ),
        )
        with nwb.open(path) as session:
            assert session.acquisition["there"] is session.acquisition["movie"]

    def test_refused_data_are_still_carried_over(self, places: Path) -> None:
        with nwb.open(places, external_links="none") as session:
            nwb.write(session, places.parent / "copy.nwb")
        assert (places.parent / "copy.nwb").read_bytes() == places.read_bytes()


# -- what departs from the schema ----------------------------------------------------------------


class TestReadingIsForgiving:
    def test_missing_required_field(self, path: Path) -> None:
        def edit(file: h5py.File) -> None:
            del file[f"{PLANE}/location"]
            del file["acquisition/movie/data"].attrs["unit"]
            del file["identifier"]
            del file["acquisition/movie/imaging_plane"]

        edited(path, edit)
        with nwb.open(path) as session:
            assert session.identifier is None
            assert session[PLANE].location is None
            assert session.acquisition["movie"].data.unit is None
            assert session.acquisition["movie"].imaging_plane is None
            assert {str(problem) for problem in session.problems} == {
                "/, field 'identifier': the schema requires 'identifier' [missing]",
                f"{PLANE}, field 'location': the schema requires 'location' [missing]",
                f"{MOVIE}/data, field 'unit': the schema requires 'unit' [missing]",
                f"{MOVIE}, field 'imaging_plane': the schema requires 'imaging_plane' [missing]",
            }

    @pytest.mark.parametrize(
        ("place", "value", "field", "message"),
        [
            (
                f"{PLANE}/excitation_lambda",
                "green",
                "excitation_lambda",
                "expected a single float32, found the text 'green'",
            ),
            (
                f"{PLANE}/excitation_lambda",
                [1.0, 2.0],
                "excitation_lambda",
                "expected a single float32, found an array of shape (2,)",
            ),
            (f"{PLANE}/location", 5, "location", "expected text, found 5 of type int64"),
            (
                "/session_start_time",
                "yesterday",
                "session_start_time",
                "expected an ISO 8601 date, found 'yesterday'",
            ),
            (
                f"{MOVIE}/timestamps",
                np.arange(3, dtype="i4"),
                "timestamps",
                "expected float64, found int32",
            ),
            (
                f"{MOVIE}/timestamps",
                np.zeros((3, 2)),
                "timestamps",
                "expected axes (num_times), found shape (3, 2)",
            ),
            (
                f"{PLANE}/grid_spacing",
                np.zeros(5, "f4"),
                "grid_spacing",
                "expected axes (2) or (3), found shape (5,)",
            ),
        ],
    )
    def test_wrong_dtype_or_shape(
        self, path: Path, place: str, value: Any, field: str, message: str
    ) -> None:
        def edit(file: h5py.File) -> None:
            file.pop(place, None)
            file[place] = value

        edited(path, edit)
        with nwb.open(path) as session:
            found = getattr(session[place.rpartition("/")[0] or "/"], field)
            np.testing.assert_array_equal(found, value)
            assert [(p.field, p.message) for p in session.problems] == [(field, message)]

    def test_wrong_attribute(self, path: Path) -> None:
        def edit(file: h5py.File) -> None:
            file[f"{MOVIE}/starting_time"].attrs["rate"] = "fast"
            file[f"{MOVIE}/starting_time"].attrs["unit"] = "ms"

        edited(path, edit)
        with nwb.open(path) as session:
            start = session.acquisition["movie"].starting_time
            assert (start.rate, start.unit) == ("fast", "ms")
            assert [p.message for p in session.problems] == [
                "expected a single float32, found the text 'fast'",
                "expected 'seconds', found 'ms'",
            ]
            assert repr(session.acquisition["movie"])

    def test_a_group_where_a_dataset_belongs(self, path: Path) -> None:
        def edit(file: h5py.File) -> None:
            del file[f"{PLANE}/location"], file[f"{MOVIE}/data"]
            file.create_group(f"{PLANE}/location")
            file.create_group(f"{MOVIE}/data")

        edited(path, edit)
        with nwb.open(path) as session:
            assert isinstance(session[PLANE].location, nwb.models.Group)
            assert session[MOVIE].data is session[f"{MOVIE}/data"]
            assert repr(session[MOVIE])
            assert {(p.path, p.message) for p in session.problems} == {
                (f"{PLANE}/location", "expected a dataset, found a group"),
                (f"{MOVIE}/data", "TwoPhotonSeriesData is no group, but found one"),
            } or session.problems

    def test_a_null_dataspace(self, path: Path) -> None:
        def edit(file: h5py.File) -> None:
            del file[f"{MOVIE}/data"], file[f"{PLANE}/location"]
            file[f"{MOVIE}/data"] = h5py.Empty("f4")
            file[f"{PLANE}/location"] = h5py.Empty("S1")

        edited(path, edit)
        with nwb.open(path) as session:
            assert repr(session[MOVIE].data)
            assert isinstance(session[PLANE].location, h5py.Empty)
            fields = {(p.path, p.field) for p in session.problems}
            assert {(f"{MOVIE}/data", "array"), (PLANE, "location")} <= fields

    def test_colnames_that_disagree(self, path: Path) -> None:
        def edit(file: h5py.File) -> None:
            table = file[SEGMENTATION]
            table.attrs["colnames"] = ["snr", "ghost", "pixel_mask"]
            table["extra"] = np.arange(5)
            table["extra"].attrs.update(
                neurodata_type="VectorData", namespace="hdmf-common", description="unlisted"
            )

        edited(path, edit)
        with nwb.open(path) as session:
            table = session[SEGMENTATION]
            assert table.colnames == ["snr", "ghost", "pixel_mask"]
            assert list(table.to_dataframe()) == ["snr", "pixel_mask", "extra"]
            with pytest.raises(nwb.MemberNotFoundError, match=r"there is no 'ghost'; there is"):
                table["ghost"]
            messages = {p.message for p in session.problems if p.field == "colnames"}
            assert messages == {
                "expected the names of the columns, found 'ghost', which is no column, and not "
                "'extra', which is one"
            }

    def test_columns_of_unequal_length(self, path: Path) -> None:
        def edit(file: h5py.File) -> None:
            attributes = dict(file[f"{SEGMENTATION}/snr"].attrs)
            del file[f"{SEGMENTATION}/snr"]
            file[f"{SEGMENTATION}/snr"] = np.arange(3.0)
            file[f"{SEGMENTATION}/snr"].attrs.update(attributes)

        edited(path, edit)
        with nwb.open(path) as session:
            table = session[SEGMENTATION]
            message = (
                f"{path}, {SEGMENTATION}, field 'snr': the column has 3 rows, but the table has 5 "
                "(leave it out: to_dataframe(exclude=['snr']))"
            )
            with pytest.raises(nwb.NWBError, match=re.escape(message)):
                table.to_dataframe()
            assert len(table.to_dataframe(exclude=["snr"])) == 5

    def test_a_file_that_breaks_the_schema_is_carried_over(self, path: Path) -> None:
        def edit(file: h5py.File) -> None:
            del file[f"{PLANE}/location"]
            file[SEGMENTATION].attrs["colnames"] = ["ghost"]
            file[f"{MOVIE}/timestamps"] = np.zeros((3, 2), "i2")

        edited(path, edit)
        with nwb.open(path) as session:
            session.notes = "changed elsewhere"
            session[SEGMENTATION].description = "changed here"
            nwb.write(session, path.parent / "copy.nwb")
        assert {d.path for d in nwb.diff(path, path.parent / "copy.nwb")} == {
            "/general/notes",
            f"{SEGMENTATION}@description",
        }


class TestAuthoringIsStrict:
    def test_a_field_that_is_missing(self) -> None:
        with pytest.raises(ValueError, match=r"(?s)ImagingPlane.*location.*Field required"):
            nwb.ImagingPlane(
                name="p", device=nwb.Device(name="d"), excitation_lambda=1.0, indicator="i"
            )

    def test_a_field_that_is_taken_away(self, tmp_path: Path) -> None:
        session = small_session()
        with pytest.raises(ValueError, match=r"(?s)location.*expected text, found None"):
            session.imaging_planes["plane"].location = None
        assert session.imaging_planes["plane"].location == "V1"

    def test_data_that_are_missing(self, tmp_path: Path) -> None:
        session = small_session()
        session.acquisition["movie"].data.array = None
        message = re.escape(f"{MOVIE}/data, field 'array': the schema requires")
        with pytest.raises(nwb.SchemaError, match=message):
            nwb.write(session, tmp_path / "a.nwb")
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            ({"data": ["a", "b"]}, "expected numeric, found object"),
            ({"data": np.zeros(3)}, r"expected axes \(frame, x, y\) or .* found shape \(3,\)"),
            ({"data": [[1], [1, 2]]}, "inhomogeneous|unequal length"),
            ({"data": frames(), "rate": "fast"}, "expected float32, found the text 'fast'"),
            ({"data": frames(), "timestamps": ["a"]}, "expected float64, found object"),
            ({"data": frames(), "unit": 3}, "expected text, found 3 of type int"),
            ({"data": frames(), "binning": 1.5}, "binning"),
        ],
    )
    def test_wrong_dtype_or_shape(self, values: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            nwb.OnePhotonSeries(
                name="s",
                imaging_plane=small_session().imaging_planes["plane"],
                **{"unit": "n.a.", **values},
            )

    def test_a_refused_assignment_leaves_the_old_value(self) -> None:
        movie = small_session().acquisition["movie"]
        with pytest.raises(ValueError, match="expected axes"):
            movie.data.array = np.zeros(4)
        assert movie.data.shape == frames().shape

    def test_colnames_that_disagree(self, tmp_path: Path) -> None:
        session = small_session()
        session[SEGMENTATION].colnames = ["snr", "ghost"]
        message = (
            f"{SEGMENTATION}, field 'colnames': expected the names of the columns, found 'ghost', "
            "which is no column, and not 'pixel_mask', which is one"
        )
        with pytest.raises(nwb.SchemaError, match=re.escape(message)):
            nwb.write(session, tmp_path / "a.nwb")

    def test_two_objects_with_one_name(self) -> None:
        session = small_session()
        message = (
            "two objects with one name: 'scope' is there already (choose another name, or delete "
            "the first)"
        )
        with pytest.raises(nwb.SchemaError, match=re.escape(message)):
            session.devices.add(nwb.Device(name="scope"))

    def test_two_objects_that_would_lie_at_one_path(self, tmp_path: Path) -> None:
        # Several collections lie over one group: general/optophysiology holds nothing but planes,
        # but `general` holds the metadata of labs beside its own datasets.
        session = small_session()
        session.notes = "text"
        session.lab_meta_data.add(nwb.LabMetaData(name="notes"))
        with pytest.raises(nwb.SchemaError, match=r"/general/notes.*two objects"):
            nwb.write(session, tmp_path / "a.nwb")

    def test_a_link_out_of_the_file(self, tmp_path: Path) -> None:
        session = small_session()
        session.acquisition["movie"].imaging_plane = small_session().imaging_planes["plane"]
        message = (
            rf"{MOVIE}/imaging_plane: it leads to <ImagingPlane plane.*>, which is not in the file "
            r"being written \(add it to the session first: session\.imaging_planes\.add\(\.\.\.\)\)"
        )
        with pytest.raises(nwb.LinkError, match=message):
            nwb.write(session, tmp_path / "a.nwb")
        assert list(tmp_path.iterdir()) == []

    def test_a_link_into_another_file(self, path: Path, tmp_path: Path) -> None:
        session = small_session()
        with nwb.open(path) as other:
            session.acquisition["movie"].imaging_plane = other[PLANE]
            message = rf"{MOVIE}/imaging_plane: .*\(it is in {path}, at {PLANE}\) \(add it"
            with pytest.raises(nwb.LinkError, match=message):
                nwb.write(session, tmp_path / "a.nwb")

    def test_a_reference_out_of_the_file(self, tmp_path: Path) -> None:
        session = small_session()
        session[TRACES].rois.table = small_session()[SEGMENTATION]
        message = rf"{TRACES}/rois, field 'table': it leads to <PlaneSegmentation cells.*not in the"
        with pytest.raises(nwb.LinkError, match=message):
            nwb.write(session, tmp_path / "a.nwb")


def test_errors_of_a_write_name_the_file(tmp_path: Path) -> None:
    session = small_session()
    session.acquisition["movie"].timestamps = np.arange(20.0)
    message = rf"^{tmp_path}/a\.nwb, {MOVIE}, field 'timestamps': expected either"
    with pytest.raises(nwb.SchemaError, match=message):
        nwb.write(session, tmp_path / "a.nwb")


def test_what_is_wrong_in_a_file_does_not_hinder_changes(path: Path, tmp_path: Path) -> None:
    def edit(file: h5py.File) -> None:
        file[f"{MOVIE}/starting_time"].attrs["rate"] = "fast"
        gone = file.create_group("gone")
        file[f"{TRACES}/rois"].attrs["table"] = gone.ref
        del file["gone"]

    edited(path, edit)
    with nwb.open(path) as session:
        session[MOVIE].pmt_gain = 2.0
        session[f"{TRACES}/rois"].description = "all"
        nwb.write(session, tmp_path / "out.nwb")
    with h5py.File(tmp_path / "out.nwb") as file:
        assert file[MOVIE].attrs["pmt_gain"] == 2.0
        assert file[f"{MOVIE}/starting_time"].attrs["rate"] == "fast"
        assert file[f"{TRACES}/rois"].attrs["description"] == "all"


# -- data that cannot be read --------------------------------------------------------------------


def test_corrupt_chunk(path: Path) -> None:
    def edit(file: h5py.File) -> None:
        del file[f"{MOVIE}/data"]
        data = file.create_dataset(
            f"{MOVIE}/data", data=frames(), chunks=(5, 6, 4), compression="gzip", fletcher32=True
        )
        data.id.write_direct_chunk((5, 0, 0), b"not a chunk at all")

    edited(path, edit)
    with nwb.open(path) as session:
        data = session[MOVIE].data
        np.testing.assert_array_equal(data[:5], frames()[:5])
        message = (
            rf"{path}, {MOVIE}/data: cannot read \[3:8\]: a stored chunk is corrupt.*other chunk"
        )
        with pytest.raises(nwb.DataError, match=message):
            data[3:8]
        np.testing.assert_array_equal(data[10:], frames()[10:])


def test_unknown_filter(path: Path) -> None:
    def edit(file: h5py.File) -> None:
        del file[f"{MOVIE}/data"]
        plist = h5p.create(h5p.DATASET_CREATE)
        plist.set_chunk((20, 6, 4))
        plist.set_filter(31999, h5z.FLAG_OPTIONAL, (1, 2))
        space = h5s.create_simple(frames().shape)
        made = h5d.create(file.id, f"{MOVIE}/data".encode(), h5t.NATIVE_INT16, space, plist)
        made.write_direct_chunk((0, 0, 0), frames().tobytes(), 0)

    edited(path, edit)
    with nwb.open(path) as session:
        assert session[MOVIE].data.shape == frames().shape
        message = r"the data are compressed with filter 31999.*not available.*hdf5plugin"
        with pytest.raises(nwb.DataError, match=message):
            session[MOVIE].data[0]
        nwb.write(session, path.parent / "copy.nwb")
    assert (path.parent / "copy.nwb").read_bytes() == path.read_bytes()


def test_use_after_close(path: Path) -> None:
    with nwb.open(path) as session:
        movie = session.acquisition["movie"]
        data = movie.data
        shape = data.shape
    message = (
        re.escape(f"{path}, /") + r".*: the file was closed \(read what you need inside the `with`"
    )
    for use in (
        lambda: data[0],
        lambda: np.asarray(data),
        lambda: movie.imaging_plane,
        lambda: session.processing["ophys"],
        lambda: session.subject,
        lambda: session["/general"],
        lambda: list(session.find(nwb.Device)),
        lambda: movie.starting_time,
    ):
        with pytest.raises(nwb.ClosedError, match=message):
            use()
    assert data.shape == shape
    assert session.acquisition["movie"] is movie
    for model in (session, movie, data, session.acquisition):
        assert repr(model)
    session.close()


def test_writing_a_closed_session(path: Path, tmp_path: Path) -> None:
    with nwb.open(path) as session:
        session.notes = "x"
    with pytest.raises(nwb.ClosedError, match="the file was closed"):
        nwb.write(session, tmp_path / "copy.nwb")
    assert not (tmp_path / "copy.nwb").exists()


def test_a_value_that_should_be_small_is_not_loaded_when_it_is_large(path: Path) -> None:
    def edit(file: h5py.File) -> None:
        del file[f"{PLANE}/location"], file[f"{PLANE}/excitation_lambda"]
        file.create_dataset(f"{PLANE}/location", (10**9,), "S20", chunks=(1000,))
        file.create_dataset(f"{PLANE}/excitation_lambda", (10**10,), "f8", chunks=(1000,))

    edited(path, edit)
    with nwb.open(path) as session:
        plane = session[PLANE]
        assert plane.location.shape == (10**9,)
        assert plane.excitation_lambda.shape == (10**10,)
        assert {p.field for p in session.problems} == {"location", "excitation_lambda"}


# -- damage at random ----------------------------------------------------------------------------

_FUZZ = """
    import random, sys, signal
    import nwb_ophys as nwb
    from nwb_ophys.layout import layout_of
    from nwb_ophys.hdf5.arrays import LazyArray
    from nwb_ophys.models.group import GroupModel

    def attempt(action):
        try:
            return action()
        except nwb.NWBError as error:
            assert str(error)

    def touch(path):
        with nwb.open(path) as session:
            stack, seen = [session], set()
            while stack:
                model = stack.pop()
                if model is None or id(model) in seen:
                    continue
                seen.add(id(model))
                repr(model)
                attempt(lambda: model.attrs)
                for name in layout_of(type(model)).fields:
                    value = attempt(lambda: getattr(model, name))
                    if isinstance(value, LazyArray) and attempt(lambda: value.size < 1e6):
                        attempt(value.read)
                if isinstance(model, GroupModel):
                    for name in attempt(lambda: list(model)) or ():
                        stack.append(attempt(lambda: model._member((), name)))
            session.problems

    # Heaps are left whole: a damaged length in one makes HDF5 itself loop or crash.
    intact = open(sys.argv[1], "rb").read()
    heaps = [(at, at + 4096) for at in range(len(intact)) if intact[at : at + 4] == b"GCOL"]
    whole = {at for first, last in heaps for at in range(first, last)}
    for seed in range(int(sys.argv[2]), int(sys.argv[3])):
        print(seed, flush=True)
        chance = random.Random(seed)
        damaged = bytearray(intact)
        for _ in range(chance.choice([1, 2, 8, 32])):
            at = chance.randrange(len(intact))
            if at not in whole:
                damaged[at] = chance.randrange(256)
        with open(sys.argv[1] + ".damaged", "wb") as file:
            file.write(damaged)
        signal.alarm(30)
        attempt(lambda: touch(sys.argv[1] + ".damaged"))
    print("done")
"""


@pytest.fixture(scope="module")
def dense(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of little else than structure, so that most damage hits some of it."""
    made = tmp_path_factory.mktemp("dense") / "dense.nwb"
    known = Path(__file__).parent.parent / "fixtures" / "two-photon.nwb"  # the same at every run
    with h5py.File(known) as source, h5py.File(made, "w") as target:
        for name in sorted(set(source.attrs) - {".specloc"}):
            target.attrs[name] = source.attrs[name]
        for name in sorted(set(source) - {"specifications"}):
            source.copy(name, target)
        target["acquisition/again"] = h5py.SoftLink("/acquisition/TwoPhotonSeries")
    return made


_PLAIN = """
    import h5py, sys

    def attempt(action):
        try:
            return action()
        except Exception:
            pass

    def look(name, found):
        for key in attempt(lambda: list(found.attrs)) or ():
            attempt(lambda: found.attrs[key])
        if isinstance(found, h5py.Dataset) and attempt(lambda: found.size < 1e6):
            attempt(lambda: found[()])

    with h5py.File(sys.argv[1]) as file:
        look("/", file)
        attempt(lambda: file.visititems(look))
"""


@pytest.mark.parametrize("first", range(0, 120, 60))
def test_damage_anywhere_raises_nothing_else(dense: Path, tmp_path: Path, first: int) -> None:
    victim = shutil.copy(dense, tmp_path / "victim.nwb")
    start = first
    while start < first + 60:
        done = run(_FUZZ, victim, start, first + 60)
        *_, last = done.stdout.split()
        if last == "done":
            return
        # Some damage crashes HDF5 itself; only where plain h5py survives it, the fault is ours.
        plain = run(_PLAIN, f"{victim}.damaged")
        assert done.returncode < 0, f"seed {last}: {done.stderr[-3000:]}"
        assert plain.returncode < 0, f"seed {last}, exit {done.returncode}: {done.stderr[-3000:]}"
        start = int(last) + 1
