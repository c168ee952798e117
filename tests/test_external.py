"""What files name outside of themselves: followed only when it is asked for, and told when not."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from small import MOVIE, edited, frames, small_session

import nwb_ophys as nwb


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
