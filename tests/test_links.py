"""Whatever leads to an object leads to the one model of it, and still does after a write."""

from __future__ import annotations

import os
from pathlib import Path

import h5py
import numpy as np
import pytest
from small import MOVIE, PLANE, SEGMENTATION, TRACES, edited, frames, small_session

import nwb_ophys as nwb


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """Another session, of objects of its own, in the same folder."""
    session = small_session()
    session.identifier = "m2"
    return nwb.write(session, tmp_path / "other.nwb")


# -- one model for each object -------------------------------------------------------------------


def test_every_way_leads_to_the_one_model(path: Path) -> None:
    compound = np.dtype([("count", "i4"), ("target", h5py.ref_dtype)])

    def edit(file: h5py.File) -> None:
        movie = file[MOVIE]
        scratch = file.create_group("scratch")
        scratch["soft"] = h5py.SoftLink(MOVIE)
        scratch["relative"] = h5py.SoftLink("soft")
        scratch["hard"] = movie
        scratch["far"] = h5py.ExternalLink("small.nwb", MOVIE)
        scratch.attrs["attribute"] = movie.ref
        scratch.attrs.create("several", [movie.ref, file[PLANE].ref], dtype=h5py.ref_dtype)
        scratch.attrs.create("compound", np.array([(1, movie.ref)], compound))
        scratch["list"] = np.array([movie.ref, file[PLANE].ref], h5py.ref_dtype)
        scratch["single"] = movie.ref
        scratch["table"] = np.array([(1, movie.ref), (2, file[PLANE].ref)], compound)
        data = file[f"{MOVIE}/data"]
        scratch["region"] = np.array([data.regionref[2:4, 0, 0]], h5py.regionref_dtype)
        scratch.attrs["region"] = data.regionref[5, 1:3, :]

    edited(path, edit)
    with nwb.open(path) as session:
        movie = session.acquisition["movie"]
        plane = session.imaging_planes["plane"]
        scratch = session["/scratch"]
        assert movie.imaging_plane is plane
        assert movie.data is session[f"{MOVIE}/data"]
        for name in ("soft", "relative", "hard", "far"):
            assert scratch[name] is movie, name
            assert session.scratch[name] is movie, name
        assert scratch.attrs["attribute"] is movie
        assert list(scratch.attrs["several"]) == [movie, plane]
        assert scratch.attrs["compound"]["target"][0] is movie
        assert list(scratch["list"].array[:]) == [movie, plane]
        assert scratch["list"].array[1] is plane
        assert scratch["single"].array[()] is movie
        assert list(scratch["table"].array["target"]) == [movie, plane]
        assert scratch["table"].array[1]["target"] is plane
        region = scratch["region"].array[0]
        assert region.target is movie.data
        np.testing.assert_array_equal(np.ravel(region[:]), frames()[2:4, 0, 0])
        region = scratch.attrs["region"]
        assert region.target is movie.data
        np.testing.assert_array_equal(np.ravel(region[:]), frames()[5, 1:3, :].ravel())
        # Its path is that of the object itself, not that of a link to it.
        assert movie.hdf5_path in (MOVIE, "/scratch/hard")
        assert len(list(session.find(nwb.TwoPhotonSeries))) == 1


def test_the_order_of_touching_does_not_matter(path: Path) -> None:
    edited(path, lambda file: file.__setitem__("scratch/soft", h5py.SoftLink(MOVIE)))
    with nwb.open(path) as session:
        by_reference = session[TRACES].rois.table
        assert by_reference is session[SEGMENTATION]
        assert by_reference is next(session.find(nwb.PlaneSegmentation))
        by_link = session["/scratch/soft"]
        assert type(by_link) is nwb.TwoPhotonSeries
        assert by_link is session.acquisition["movie"]
        assert by_reference.imaging_plane is by_link.imaging_plane is session[PLANE]
        # A part is of the class that its owner declares, whichever way it was reached.
        index = session[SEGMENTATION].pixel_mask_index
        assert index.target is session[SEGMENTATION].pixel_mask
        assert type(index.target) is nwb.PlaneSegmentationPixelMask


def test_parts_reached_by_reference_first(path: Path) -> None:
    with nwb.open(path) as session:
        data = session[f"{MOVIE}/data"]
        assert type(data).__name__ == "ImageSeriesData"
        assert session.acquisition["movie"].data is data
        mask = session[f"{SEGMENTATION}/pixel_mask"]
        assert type(mask) is nwb.PlaneSegmentationPixelMask


def test_chains_of_links(path: Path) -> None:
    def edit(file: h5py.File) -> None:
        for number in range(40):
            target = f"/scratch/link{number - 1}" if number else MOVIE
            file[f"scratch/link{number}"] = h5py.SoftLink(target)
        file["scratch/folder"] = h5py.SoftLink("/processing/ophys")
        file["scratch/through"] = h5py.SoftLink("/scratch/folder/Fluorescence/traces")

    edited(path, edit)
    with nwb.open(path) as session:
        assert session.scratch["link39"] is session.acquisition["movie"]
        assert session["/scratch/through"] is session[TRACES]
        assert session["/scratch/folder/Fluorescence/traces"] is session[TRACES]


def test_through_another_file_and_back(path: Path, other: Path) -> None:
    edited(other, lambda f: f.__setitem__("scratch/back", h5py.ExternalLink("small.nwb", MOVIE)))

    def edit(file: h5py.File) -> None:
        file["scratch/there"] = h5py.ExternalLink("other.nwb", MOVIE)
        file["scratch/back"] = h5py.ExternalLink("other.nwb", "/scratch/back")
        file["scratch/again"] = h5py.ExternalLink("./other.nwb", MOVIE)

    edited(path, edit)
    with nwb.open(path) as session:
        there = session.scratch["there"]
        assert session.scratch["back"] is session.acquisition["movie"]
        assert session.scratch["again"] is there
        assert there is not session.acquisition["movie"]
        assert there.hdf5_path == MOVIE
        assert there.imaging_plane is not session[PLANE]
        # A path from the root is one of the file that the object lies in, as HDF5 has it.
        assert there.imaging_plane.hdf5_path == PLANE
        np.testing.assert_array_equal(there.data, frames())
    with pytest.raises(nwb.ClosedError, match=r"other\.nwb.*the file was closed"):
        there.data[0]


# -- links that are authored -------------------------------------------------------------------


class TestAuthoring:
    def test_one_object_in_two_places(self, tmp_path: Path) -> None:
        session = small_session()
        session.analysis.add(session.acquisition["movie"])
        nwb.write(session, tmp_path / "a.nwb")
        with h5py.File(tmp_path / "a.nwb") as file:
            link = file["analysis"].get("movie", getlink=True)
            kinds = (h5py.SoftLink, h5py.SoftLink)
            # Where it was first met is its place, and all others are links to that.
            links = (link, file["acquisition"].get("movie", getlink=True))
            assert sum(isinstance(one, kinds) for one in links) == 1
        with nwb.open(tmp_path / "a.nwb") as opened:
            assert opened.analysis["movie"] is opened.acquisition["movie"]

    def test_an_object_that_refers_to_itself(self, tmp_path: Path) -> None:
        session = small_session()
        movie = session.acquisition["movie"]
        movie.attrs["self"] = movie
        movie.attrs["plane"] = session.imaging_planes["plane"]
        nwb.write(session, tmp_path / "a.nwb")
        with nwb.open(tmp_path / "a.nwb") as opened:
            movie = opened.acquisition["movie"]
            assert movie.attrs["self"] is movie
            assert movie.attrs["plane"] is movie.imaging_plane

    def test_external_links(self, other: Path, tmp_path: Path) -> None:
        (tmp_path / "sub").mkdir()
        session = small_session()
        with nwb.open(other) as source:
            session.scratch.add(nwb.link(source[SEGMENTATION]))
            session.acquisition["movie"].imaging_plane = nwb.link(source[PLANE])
            assert session.acquisition["movie"].imaging_plane.name == "plane"
            nwb.write(session, tmp_path / "a.nwb")
            nwb.write(session, tmp_path / "sub" / "b.nwb")
        for name, file in (("a.nwb", "other.nwb"), ("sub/b.nwb", "../other.nwb")):
            with h5py.File(tmp_path / name) as stored:
                for place, target in (
                    ("scratch/cells", SEGMENTATION),
                    (f"{MOVIE}/imaging_plane", PLANE),
                ):
                    link = stored.get(place, getlink=True)
                    assert (link.filename, link.path) == (file, target)
                assert stored[f"{MOVIE}/imaging_plane/location"][()] == b"V1"
        with nwb.open(tmp_path / "sub" / "b.nwb", external_links="all") as opened:
            plane = opened.acquisition["movie"].imaging_plane
            assert type(plane) is nwb.ImagingPlane
            assert plane is opened.scratch["cells"].imaging_plane

    def test_a_link_to_what_is_in_no_file(self) -> None:
        message = r"<Device scope> is in no file that a link could lead to \(write its session fi"
        with pytest.raises(nwb.LinkError, match=message):
            nwb.link(nwb.Device(name="scope"))


# -- objects of another session ------------------------------------------------------------------


class TestGrafts:
    def test_what_it_refers_to_comes_along(self, path: Path, other: Path, tmp_path: Path) -> None:
        def edit(file: h5py.File) -> None:
            file.move("processing/ophys/Fluorescence", "processing/ophys/Second")
            file.move("processing/ophys/ImageSegmentation", "processing/ophys/Cells")

        edited(other, edit)
        edited(other, lambda f: f.move("general/optophysiology/plane", "general/optophysiology/p2"))

        def repair(file: h5py.File) -> None:
            for place in (MOVIE, "processing/ophys/Cells/cells"):
                del file[f"{place}/imaging_plane"]
                file[f"{place}/imaging_plane"] = h5py.SoftLink("/general/optophysiology/p2")

        edited(other, repair)
        with nwb.open(path) as session, nwb.open(other) as source:
            second = source.processing["ophys"]["Second"]
            session.processing["ophys"].add(second)
            # The device that the other plane was seen with has the name of one that is there.
            with pytest.raises(nwb.NWBError, match=r"/general/devices/scope.*another object"):
                nwb.write(session, tmp_path / "a.nwb")
            assert not (tmp_path / "a.nwb").exists()
        edited(
            other,
            lambda f: f["general/devices/scope"].attrs.__setitem__(
                "object_id", object_id(path, "general/devices/scope")
            ),
        )
        with nwb.open(path) as session, nwb.open(other) as source:
            session.processing["ophys"].add(source.processing["ophys"]["Second"])
            nwb.write(session, tmp_path / "a.nwb")
        with nwb.open(tmp_path / "a.nwb") as session:
            traces = session["/processing/ophys/Second/traces"]
            assert traces.rois.table is session["/processing/ophys/Cells/cells"]
            assert traces.rois.table.imaging_plane is session.imaging_planes["p2"]
            assert session.imaging_planes["p2"].device is session.devices["scope"]
            assert session[TRACES].rois.table is session[SEGMENTATION]
            assert session.problems == []

    def test_a_second_one_uses_what_the_first_brought(self, other: Path, tmp_path: Path) -> None:
        session = nwb.NWBFile(
            identifier="new",
            session_description="d",
            session_start_time=small_session().session_start_time,
        )
        with nwb.open(other) as source:
            session.acquisition.add(source.acquisition["movie"])
            session.analysis.add(source[SEGMENTATION])
            nwb.write(session, tmp_path / "a.nwb")
        with nwb.open(tmp_path / "a.nwb") as session:
            assert list(session.imaging_planes) == ["plane"]
            plane = session.imaging_planes["plane"]
            assert session.acquisition["movie"].imaging_plane is plane
            assert session.analysis["cells"].imaging_plane is plane
            assert plane.device is session.devices["scope"]
            np.testing.assert_array_equal(session.acquisition["movie"].data, frames())

    def test_the_copy_is_the_same_object(self, other: Path, tmp_path: Path) -> None:
        session = small_session()
        del session.acquisition["movie"]
        session.imaging_planes.clear()
        session.processing.clear()
        session.devices.clear()
        with nwb.open(other) as source:
            session.acquisition.add(source.acquisition["movie"])
            nwb.write(session, tmp_path / "a.nwb")
        assert object_id(tmp_path / "a.nwb", MOVIE) == object_id(other, MOVIE)

    def test_one_that_was_changed(self, other: Path, tmp_path: Path) -> None:
        session = small_session()
        del session.acquisition["movie"]
        with nwb.open(other) as source:
            movie = source.acquisition["movie"]
            movie.description = "changed"
            session.acquisition.add(movie)
            message = (
                rf"{other}, {MOVIE}: an object of another session that was changed there cannot be "
                r"added \(write that session first, or add a copy: obj\.model_copy\(deep=True\)\)"
            )
            with pytest.raises(nwb.SchemaError, match=message):
                nwb.write(session, tmp_path / "a.nwb")

    def test_one_of_a_session_that_is_closed(self, other: Path, tmp_path: Path) -> None:
        session = small_session()
        del session.acquisition["movie"]
        with nwb.open(other) as source:
            session.acquisition.add(source.acquisition["movie"])
        with pytest.raises(nwb.ClosedError, match=r"other\.nwb.*the file was closed"):
            nwb.write(session, tmp_path / "a.nwb")
        assert sorted(os.listdir(tmp_path)) == ["other.nwb"]

    def test_a_change_in_a_linked_file_is_not_lost_in_silence(
        self, path: Path, other: Path
    ) -> None:
        edited(path, lambda f: f.__setitem__("scratch/far", h5py.ExternalLink("other.nwb", MOVIE)))
        with nwb.open(path) as session:
            session.scratch["far"].description = "changed"
            message = rf"{other}, {MOVIE}: the object lies in another file, which is not written \("
            with pytest.raises(nwb.SchemaError, match=message):
                nwb.write(session, path, overwrite=True)


def object_id(path: Path, place: str) -> str:
    with h5py.File(path) as file:
        return str(file[place].attrs["object_id"])


# -- deletions -----------------------------------------------------------------------------------


class TestDeleting:
    def test_what_a_link_leads_to(self, path: Path) -> None:
        before = path.read_bytes()
        with nwb.open(path) as session:
            del session.imaging_planes["plane"]
            message = rf"{path}, {PLANE}: {PLANE} was deleted, but .*{MOVIE}/imaging_plane.* still "
            with pytest.raises(nwb.LinkError, match=message + r"leads? to it \(delete or change"):
                nwb.write(session, path, overwrite=True)
            assert path.read_bytes() == before
            del session.acquisition["movie"], session.processing["ophys"]
            nwb.write(session, path, overwrite=True)
        with nwb.open(path) as session:
            assert list(session.imaging_planes) == []

    def test_what_a_reference_leads_to(self, path: Path) -> None:
        with nwb.open(path) as session:
            del session.processing["ophys"].children["ImageSegmentation"]
            with pytest.raises(
                nwb.LinkError, match=rf"{SEGMENTATION.rpartition('/')[0]}.* deleted.*{TRACES}/rois"
            ):
                nwb.write(session, path, overwrite=True)

    def test_something_below_what_was_deleted(self, path: Path) -> None:
        edited(path, lambda f: f.__setitem__("scratch/x", h5py.SoftLink(f"{TRACES}/data")))
        with nwb.open(path) as session:
            del session.processing["ophys"]
            with pytest.raises(nwb.LinkError, match=r"/processing/ophys\b.*deleted.*/scratch/x"):
                nwb.write(session, path, overwrite=True)

    def test_a_link_rather_than_its_target(self, path: Path) -> None:
        edited(path, lambda f: f.__setitem__("scratch/soft", h5py.SoftLink(MOVIE)))
        edited(path, lambda f: f.__setitem__("scratch/keep", 1))
        with nwb.open(path) as session:
            del session.scratch["soft"]
            nwb.write(session, path, overwrite=True)
            assert "soft" not in session.scratch
        with nwb.open(path) as session:
            assert list(session.scratch) == ["keep"]
            np.testing.assert_array_equal(session.acquisition["movie"].data, frames())

    def test_one_of_two_hard_links(self, path: Path) -> None:
        edited(path, lambda f: f.__setitem__("scratch/hard", f[MOVIE]))
        with nwb.open(path) as session:
            _ = session.acquisition["movie"]
            del session.scratch["hard"]
            nwb.write(session, path, overwrite=True)
        with nwb.open(path) as session:
            assert "hard" not in session.scratch
            np.testing.assert_array_equal(session.acquisition["movie"].data, frames())
            assert session.acquisition["movie"].imaging_plane is session[PLANE]

    def test_a_link_that_is_turned_elsewhere(self, path: Path) -> None:
        with nwb.open(path) as session:
            new = session.imaging_planes["plane"].model_copy(deep=True)
            new = nwb.ImagingPlane(
                name="second",
                device=session.devices["scope"],
                excitation_lambda=900.0,
                indicator="x",
                location="V2",
                children=[nwb.OpticalChannel(name="c", description="d", emission_lambda=500.0)],
            )
            session.imaging_planes.add(new)
            session.acquisition["movie"].imaging_plane = new
            nwb.write(session, path, overwrite=True)
            assert (
                session.acquisition["movie"].imaging_plane
                is new
                is session["/general/optophysiology/second"]
            )
        with nwb.open(path) as session:
            assert session.acquisition["movie"].imaging_plane is session.imaging_planes["second"]
            assert session[SEGMENTATION].imaging_plane is session[PLANE]


# -- external targets in another folder ----------------------------------------------------------


class TestMoving:
    @pytest.fixture
    def linked(self, path: Path, other: Path) -> Path:
        shape = frames().shape
        frames().astype("<i2").tofile(path.parent / "raw.bin")

        def edit(file: h5py.File) -> None:
            scratch = file.create_group("scratch")
            scratch["far"] = h5py.ExternalLink("other.nwb", MOVIE)
            scratch["dotted"] = h5py.ExternalLink("./other.nwb", MOVIE)
            scratch["absolute"] = h5py.ExternalLink(str(other), MOVIE)
            scratch["gone"] = h5py.ExternalLink("gone.nwb", MOVIE)
            layout = h5py.VirtualLayout(shape, "i2")
            layout[:] = h5py.VirtualSource("other.nwb", f"{MOVIE}/data", shape)
            scratch.create_virtual_dataset("virtual", layout)
            scratch.create_dataset("raw", shape, "i2", external=[("raw.bin", 0, 1 << 20)])

        return edited(path, edit)

    @staticmethod
    def names(path: Path) -> dict[str, str]:
        with h5py.File(path) as file:
            scratch = file["scratch"]
            found = {
                name: scratch.get(name, getlink=True).filename
                for name in ("far", "dotted", "absolute", "gone")
            }
            found["virtual"] = scratch["virtual"].virtual_sources()[0].file_name
            found["raw"] = scratch["raw"].external[0][0]
        return found

    @pytest.mark.parametrize("change", [False, True])
    def test_the_same_folder(self, linked: Path, change: bool) -> None:
        with nwb.open(linked) as session:
            if change:
                session.notes = "x"
                del session.acquisition["movie"]
            nwb.write(session, linked.parent / "copy.nwb")
        assert self.names(linked.parent / "copy.nwb") == self.names(linked)

    @pytest.mark.parametrize("place", ["sub", "sub/deeper", "../beside"])
    @pytest.mark.parametrize("change", [False, True])
    def test_another_folder(self, linked: Path, other: Path, place: str, change: bool) -> None:
        folder = (linked.parent / place).resolve().with_suffix(f".{change}")
        folder.mkdir(parents=True)
        with nwb.open(linked) as session:
            if change:
                session.notes = "x"
            nwb.write(session, folder / "copy.nwb")
        way = os.path.relpath(linked.parent, folder).replace(os.sep, "/")
        assert self.names(folder / "copy.nwb") == {
            "far": f"{way}/other.nwb",
            "dotted": f"{way}/other.nwb",
            "absolute": str(other),
            "gone": "gone.nwb",  # it could only be guessed at
            "virtual": f"{way}/other.nwb",
            "raw": f"{way}/raw.bin",
        }
        with nwb.open(folder / "copy.nwb", external_links="all") as session:
            for name in ("far", "dotted", "absolute"):
                np.testing.assert_array_equal(session.scratch[name].data, frames())
            for name in ("virtual", "raw"):
                np.testing.assert_array_equal(session[f"/scratch/{name}"].array, frames())


# -- over the file that is open --------------------------------------------------------------------


class TestRewriting:
    def test_the_session_goes_on_with_the_new_file(self, path: Path) -> None:
        with nwb.open(path) as session:
            movie = session.acquisition["movie"]
            data, plane = movie.data.array, movie.imaging_plane
            cells = next(session.find(nwb.PlaneSegmentation))
            snr = cells["snr"]
            session.notes = "one"
            added = session.acquisition.add(
                nwb.TwoPhotonSeries(
                    name="second", data=frames() + 1, unit="n.a.", rate=30.0, imaging_plane=plane
                )
            )
            cells.add_column("size", np.arange(5.0), "pixels")
            nwb.write(session, path, overwrite=True)

            assert session.acquisition["movie"] is movie
            assert movie.imaging_plane is plane is added.imaging_plane
            assert next(session.find(nwb.PlaneSegmentation)) is cells
            np.testing.assert_array_equal(data, frames())  # lazy arrays from before stay good
            np.testing.assert_array_equal(snr, np.linspace(0, 1, 5))
            assert session.acquisition["second"] is added is session["/acquisition/second"]
            assert added.hdf5_path == "/acquisition/second"
            assert session[TRACES].rois.table is cells
            assert session.notes == "one"

            added.description = "changed once more"
            added.data.array = frames() + 2
            session.notes = "two"
            del session.acquisition["movie"]
            nwb.write(session, path, overwrite=True)
            np.testing.assert_array_equal(added.data, frames() + 2)
            assert cells["size"].array[3] == 3
            with pytest.raises(nwb.NWBError, match="movie"):
                session.acquisition["movie"]

        with nwb.open(path) as session:
            assert session.notes == "two"
            assert list(session.acquisition) == ["second"]
            second = session.acquisition["second"]
            assert second.description == "changed once more"
            np.testing.assert_array_equal(second.data, frames() + 2)
            assert second.imaging_plane is session[PLANE]
            assert session[SEGMENTATION].colnames == ["pixel_mask", "snr", "size"]
        assert os.listdir(path.parent) == ["small.nwb"]

    def test_many_times(self, path: Path) -> None:
        with nwb.open(path) as session:
            for number in range(6):
                session.notes = f"number {number}"
                session.scratch.add(nwb.ScratchData(name=f"s{number}", array=[number], notes="n"))
                if number > 1:
                    del session.scratch[f"s{number - 2}"]
                nwb.write(session, path, overwrite=True)
                assert session.acquisition["movie"].data[3, 2, 1] == frames()[3, 2, 1]
            assert list(session.scratch) == ["s4", "s5"]
        with nwb.open(path) as session:
            assert session.notes == "number 5"
            assert list(session.scratch) == ["s4", "s5"]
            assert session.scratch["s5"].array[0] == 5

    def test_unchanged(self, path: Path) -> None:
        before = path.read_bytes()
        with nwb.open(path) as session:
            for _ in range(2):
                nwb.write(session, path, overwrite=True)
            assert session.acquisition["movie"].data[1, 2, 3] == frames()[1, 2, 3]
        assert path.read_bytes() == before

    def test_written_elsewhere_it_stays_with_its_file(self, path: Path) -> None:
        with nwb.open(path) as session:
            session.notes = "elsewhere"
            added = session.scratch.add(nwb.ScratchData(name="s", array=[1, 2], notes="n"))
            for name in ("b.nwb", "c.nwb"):
                nwb.write(session, path.with_name(name))
            assert added.array[1] == 2
        with nwb.open(path) as session:
            assert session.notes is None
        for name in ("b.nwb", "c.nwb"):
            with nwb.open(path.with_name(name)) as session:
                assert session.notes == "elsewhere"
                assert list(session.scratch) == ["s"]

    def test_an_authored_session_is_written_twice(self, tmp_path: Path) -> None:
        session = small_session()
        nwb.write(session, tmp_path / "a.nwb")
        session.notes = "more"
        nwb.write(session, tmp_path / "a.nwb", overwrite=True)
        with nwb.open(tmp_path / "a.nwb") as opened:
            assert opened.notes == "more"

    def test_no_handle_is_left(self, path: Path) -> None:
        if not Path("/proc/self/fd").exists():
            pytest.skip("counts open files by /proc")
        counts = set()
        for number in range(5):
            with nwb.open(path) as session:
                session.notes = str(number)
                _ = session.acquisition["movie"].imaging_plane
                nwb.write(session, path, overwrite=True)
            counts.add(len(os.listdir("/proc/self/fd")))
        assert len(counts) == 1
        with h5py.File(path, "r+") as file:
            file["general/notes"][()] = "y"


class TestChangedByOthers:
    """A file that is not the one that was opened is neither carried over nor overwritten."""

    def test_another_time(self, path: Path) -> None:
        with nwb.open(path) as session:
            session.notes = "mine"
            os.utime(path, ns=(1, 1))
            message = (
                rf"{path}: this is no longer the file that was opened: mtime_ns \d+ then, 1 now "
                r"\(open it again\)"
            )
            for target in (path, path.with_name("copy.nwb")):
                with pytest.raises(nwb.FileChangedError, match=message):
                    nwb.write(session, target, overwrite=True)
        assert os.listdir(path.parent) == ["small.nwb"]

    def test_another_file(self, path: Path) -> None:
        with nwb.open(path) as session:
            theirs = small_session()
            theirs.notes = "theirs"
            nwb.write(theirs, path, overwrite=True)
            session.notes = "mine"
            with pytest.raises(nwb.FileChangedError, match=r"inode \d+ then, \d+ now"):
                nwb.write(session, path, overwrite=True)
        with nwb.open(path) as session:
            assert session.notes == "theirs"

    def test_no_file(self, path: Path) -> None:
        with nwb.open(path) as session:
            path.unlink()
            session.notes = "mine"
            with pytest.raises(nwb.FileMissingError, match=f"{path}: there is no such file"):
                nwb.write(session, path, overwrite=True)
