"""What departs from the schema: read as it is and told, and refused where it is authored."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from small import MOVIE, PLANE, SEGMENTATION, TRACES, edited, frames, small_session

import nwb_ophys as nwb


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
