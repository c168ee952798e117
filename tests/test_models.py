"""Models as their users make them: construction, flat names, messages, the model contract."""

import inspect
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from pydantic import BaseModel, ValidationError

import nwb_ophys
import nwb_ophys.models as nwb
from nwb_ophys.errors import SchemaError
from nwb_ophys.layout import layout_of
from nwb_ophys.models.base import ConfiguredBaseModel, LinkML_Meta
from nwb_ophys.registry import _HAND_WRITTEN, get_type
from nwb_ophys.storage import Internal
from nwb_ophys.testing import make

START = datetime(2024, 5, 17, 9, 30, tzinfo=UTC)


@pytest.fixture
def scope():
    return nwb.Device(name="scope", description="two-photon microscope")


@pytest.fixture
def plane(scope):
    return nwb.ImagingPlane(
        name="plane",
        description="layer 2/3",
        device=scope,
        excitation_lambda=920.0,
        indicator="GCaMP6f",
        location="V1",
        children=[nwb.OpticalChannel(name="green", description="gate", emission_lambda=520.0)],
    )


@pytest.fixture
def movie(plane):
    frames = np.arange(5 * 4 * 3, dtype=np.int16).reshape(5, 4, 3)
    return nwb.TwoPhotonSeries(name="m", data=frames, unit="n.a.", rate=30.0, imaging_plane=plane)


@pytest.fixture
def segmentation(plane):
    masks = np.zeros((2, 4, 3), np.float32)
    masks[0, 1, 2] = masks[1, 3, 0] = 1
    return nwb.PlaneSegmentation(
        name="PlaneSegmentation", description="by hand", imaging_plane=plane, image_mask=masks
    )


@pytest.fixture
def session():
    return nwb.NWBFile(identifier="m1-s1", session_description="test", session_start_time=START)


# -- the contract --------------------------------------------------------------------------------

SERIES = "comments control control_description data description name starting_time sync timestamps"
IMAGE_SERIES = f"{SERIES} dimension external_file format"
COLUMN = "array description name"
REFERENCE = {
    "OnePhotonSeries": (
        "ImageSeries",
        True,
        f"{IMAGE_SERIES} binning exposure_time intensity pmt_gain power scan_line_rate",
    ),
    "TwoPhotonSeries": (
        "ImageSeries",
        True,
        f"{IMAGE_SERIES} field_of_view pmt_gain scan_line_rate",
    ),
    "TwoPhotonSeriesFieldOfView": ("ConfiguredBaseModel", False, "array name"),
    "RoiResponseSeries": ("TimeSeries", True, f"{SERIES} rois"),
    "RoiResponseSeriesData": ("ConfiguredBaseModel", False, "array name"),
    "RoiResponseSeriesRois": ("DynamicTableRegion", False, f"{COLUMN} table"),
    "DfOverF": ("NWBDataInterface", True, "children name"),
    "Fluorescence": ("NWBDataInterface", True, "children name"),
    "ImageSegmentation": ("NWBDataInterface", True, "children name"),
    "PlaneSegmentation": (
        "DynamicTable",
        True,
        "colnames description id image_mask name pixel_mask pixel_mask_index reference_images "
        "vector_data voxel_mask voxel_mask_index",
    ),
    "PlaneSegmentationImageMask": ("VectorData", False, COLUMN),
    "PlaneSegmentationPixelMaskIndex": ("VectorIndex", False, f"{COLUMN} target"),
    "PlaneSegmentationVoxelMaskIndex": ("VectorIndex", False, f"{COLUMN} target"),
    "ImagingPlane": ("NWBContainer", True, "children name"),
    "OpticalChannel": ("NWBContainer", True, "description emission_lambda name"),
    "MotionCorrection": ("NWBDataInterface", True, "children name"),
    "CorrectedImageStack": ("NWBDataInterface", True, "corrected name xy_translation"),
}
FIXED_NAMES = {
    "ImageSeriesData": "data",
    "PlaneSegmentationImageMask": "image_mask",
    "PlaneSegmentationPixelMaskIndex": "pixel_mask_index",
    "PlaneSegmentationVoxelMaskIndex": "voxel_mask_index",
    "RoiResponseSeriesData": "data",
    "RoiResponseSeriesRois": "rois",
    "TimeSeriesStartingTime": "starting_time",
    "TimeSeriesSync": "sync",
    "TwoPhotonSeriesFieldOfView": "field_of_view",
}


@pytest.mark.parametrize("name", REFERENCE)
def test_contract(name):
    base, tree_root, fields = REFERENCE[name]
    cls = getattr(nwb, name)
    assert issubclass(cls, getattr(nwb, base))
    assert isinstance(cls.linkml_meta, LinkML_Meta)
    assert cls.linkml_meta.tree_root is tree_root
    assert set(fields.split()) <= set(cls.model_fields)
    assert "hdf5_path" in cls.model_fields


@pytest.mark.parametrize("name", nwb.__all__)
def test_configuration(name):
    cls = getattr(nwb, name)
    if name == "LinkML_Meta":
        assert issubclass(cls, BaseModel)
        assert not issubclass(cls, ConfiguredBaseModel)
        return
    assert issubclass(cls, ConfiguredBaseModel)
    assert {
        "validate_assignment": True,
        "validate_default": True,
        "extra": "forbid",
        "arbitrary_types_allowed": True,
        "use_enum_values": True,
    }.items() <= cls.model_config.items()
    assert "linkml_meta" not in cls.model_fields


@pytest.mark.parametrize("name", FIXED_NAMES)
def test_name_of_a_part_is_fixed(name):
    cls = getattr(nwb, name)
    assert cls.model_fields["name"].get_default() == FIXED_NAMES[name]
    with pytest.raises(ValidationError, match=f"expected '{FIXED_NAMES[name]}', found 'other'"):
        cls(name="other")


@pytest.mark.parametrize("name", nwb.__all__)
def test_every_field_is_declared_and_described(name):
    cls = getattr(nwb, name)
    assert cls.__doc__
    if not issubclass(cls, ConfiguredBaseModel):
        return
    layout_of(cls)  # refuses a field without a marker
    own = set(cls.__annotations__) & set(cls.model_fields) - {"name"}
    documented = {word for line in inspect.getdoc(cls).splitlines() for word in _headings(line)}
    restated = {field for base in cls.__bases__ for field in getattr(base, "model_fields", ())}
    assert own - documented <= restated - {"array", "children", "data"}


def _headings(line):
    return set() if line.startswith(" ") else {word.strip() for word in line.split(",")}


def test_every_registered_model_is_exported():
    assert {cls.__name__ for cls in _HAND_WRITTEN.values()} <= set(nwb.__all__)
    assert all(getattr(nwb, cls.__name__) is cls for cls in _HAND_WRITTEN.values())
    assert len(nwb.__all__) == len(set(nwb.__all__))


@pytest.mark.parametrize("name", nwb.__all__)
def test_defaults_conform(name):
    cls = getattr(nwb, name)
    if not issubclass(cls, ConfiguredBaseModel):
        return
    for field in layout_of(cls).fields.values():
        if isinstance(field.marker, Internal) or field.info.is_required():
            continue
        default = field.default()
        if default is not None and not field.types:
            assert field.marker._validator(field.info.annotation)(default) == default


# -- series --------------------------------------------------------------------------------------


def test_movie_takes_and_shows_flat_names(movie):
    assert isinstance(movie.data, nwb.ImageSeriesData)
    assert (movie.unit, movie.rate) == ("n.a.", 30.0)
    assert (movie.data.unit, movie.starting_time.rate) == ("n.a.", 30.0)
    assert (movie.conversion, movie.offset, movie.resolution) == (1.0, 0.0, -1.0)
    movie.unit = "counts"
    assert movie.data.unit == "counts"


def test_flat_names_do_not_change_the_data_of_another_series(movie):
    scaled = nwb.TimeSeries(name="s", data=movie.data, unit="photons", conversion=2.0, rate=1.0)
    assert (scaled.unit, scaled.conversion) == ("photons", 2.0)
    assert (movie.unit, movie.conversion) == ("n.a.", 1.0)
    assert scaled.data.array is movie.data.array
    same = nwb.TimeSeries(name="s", data=movie.data, unit="n.a.", rate=1.0)
    assert same.data is movie.data  # which is written as a link


def test_a_copy_is_changed_by_itself(movie, tmp_path, session, plane, scope):
    other = movie.model_copy(update={"rate": 5.0, "unit": "photons", "data": np.zeros((2, 4, 3))})
    assert (other.rate, other.unit, other.data.shape) == (5.0, "photons", (2, 4, 3))
    assert (movie.rate, movie.unit, movie.data.shape) == (30.0, "n.a.", (5, 4, 3))
    session.devices.add(scope)
    session.imaging_planes.add(plane)
    session.acquisition.add(movie)
    nwb_ophys.write(session, tmp_path / "a.nwb")
    with nwb_ophys.open(tmp_path / "a.nwb") as stored:
        original = stored.acquisition["m"]
        twin = original.model_copy()
        twin.unit = "photons"
        series = nwb.TimeSeries(name="s", data=original.data, rate=1.0)
        series.conversion = 3.0
        assert (twin.unit, series.conversion) == ("photons", 3.0)
        assert (original.unit, original.conversion) == ("n.a.", 1.0)


def test_new_data_keep_what_is_said_of_them(movie, segmentation):
    movie.data.conversion = 2.0
    movie.data.attrs["camera"] = "left"
    movie.data = np.zeros((7, 4, 3), np.float32)
    assert movie.data.shape == (7, 4, 3)
    assert (movie.unit, movie.conversion, movie.data.attrs["camera"]) == ("n.a.", 2.0, "left")
    movie.starting_time = 5.0
    assert (movie.starting_time.value, movie.rate) == (5.0, 30.0)
    segmentation.image_mask.description = "by hand"
    segmentation.image_mask = np.ones((2, 4, 3), np.float32)
    assert segmentation.image_mask.description == "by hand"
    movie.data = nwb.ImageSeriesData(array=np.zeros((1, 4, 3)), unit="V")
    assert (movie.unit, movie.conversion) == ("V", 1.0)


def test_an_object_is_no_array(movie):
    message = r"expected an array, found <TwoPhotonSeries m: .*> \(give one of its arrays\)"
    with pytest.raises(ValidationError, match=message):
        nwb.TimeSeries(name="s", data=[1.0], unit="V", timestamps=movie)


def test_fields_are_deleted_where_the_schema_allows(movie):
    movie.pmt_gain = 2.0
    del movie.pmt_gain
    assert movie.pmt_gain is None
    with pytest.raises(SchemaError, match="m, field 'imaging_plane': the schema requires"):
        del movie.imaging_plane
    assert movie.imaging_plane.name == "plane"


def test_names_that_are_no_fields_are_told_with_what_was_meant(plane, scope):
    with pytest.raises(ValidationError) as caught:
        nwb.TimeSeries(dta=[1.0], unit="V", rate=1.0)
    assert [one["type"] for one in caught.value.errors()] == ["missing", "extra_forbidden"]
    assert "dta\n  Extra inputs are not permitted; did you mean 'data'?" in str(caught.value)
    message = r"optical_channel\n  Extra .* objects that lie in this one are given as children="
    with pytest.raises(ValidationError, match=message):
        nwb.ImagingPlane(name="p", device=scope, optical_channel=plane.children["green"])


@pytest.mark.parametrize("name", ["mean", "max", "min", "std", "sum", "var"])
def test_movie_is_reduced_as_its_array(movie, name):
    expected = getattr(movie.data.array, name)(axis=0)
    np.testing.assert_array_equal(getattr(movie.data, name)(axis=0), expected)
    assert movie.data.chunks is movie.data.maxshape is movie.data.compression is None
    with pytest.raises(AttributeError, match="no attribute 'median'"):
        movie.data.median  # noqa: B018


def test_what_is_no_number_has_no_unit():
    series = nwb.TimeSeries(name="s", data=["a", "b"], unit="n.a.", rate=1.0)
    with pytest.raises(SchemaError, match="field 'array': expected numbers, found object"):
        series.data.to_unit()


def test_movie_behaves_as_its_array(movie):
    assert movie.data.shape == (5, 4, 3)
    assert movie.data[2].tolist() == np.arange(24, 36).reshape(4, 3).tolist()
    assert np.mean(movie.data, axis=0).shape == (4, 3)
    assert movie.format == "raw"
    assert movie.num_frames == 5


def test_field_of_view_is_a_model_of_its_own(movie):
    movie.field_of_view = [0.4, 0.3]
    assert isinstance(movie.field_of_view, nwb.TwoPhotonSeriesFieldOfView)
    assert movie.field_of_view.array.tolist() == [0.4, 0.3]
    with pytest.raises(ValidationError, match=r"expected axes \(2\) or \(3\), found shape \(1,\)"):
        movie.field_of_view = [0.4]


def test_movie_needs_a_unit(plane):
    with pytest.raises(ValidationError, match=r"data\.unit\n  Field required"):
        nwb.TwoPhotonSeries(name="m", data=np.zeros((5, 4, 3)), rate=1.0, imaging_plane=plane)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.zeros((4, 3)), r"expected axes \(frame, x, y\) or \(frame, x, y, z\)"),
        (np.zeros((5, 4, 3), bool), "expected numeric, found bool"),
        (np.full((5, 4, 3), "a"), "expected numeric, found"),
    ],
)
def test_movie_refuses_what_is_no_movie(plane, data, message):
    with pytest.raises(ValidationError, match=message):
        nwb.OnePhotonSeries(name="m", data=data, unit="n.a.", rate=1.0, imaging_plane=plane)


def test_movie_refuses_what_it_does_not_know(movie, scope):
    with pytest.raises(ValidationError, match=r"speed\n  Extra inputs are not permitted"):
        nwb.ImageSeries(name="m", data=np.zeros((5, 4, 3)), unit="n.a.", rate=1.0, speed=3)
    with pytest.raises(ValidationError, match="expected ImagingPlane, found <Device scope"):
        movie.imaging_plane = scope
    assert movie.imaging_plane.name == "plane"


def test_one_photon_series(plane):
    series = nwb.OnePhotonSeries(
        name="m", data=np.zeros((5, 4, 3)), unit="n.a.", timestamps=np.arange(5.0), binning=2,
        exposure_time=0.02, imaging_plane=plane,
    )  # fmt: skip
    assert (series.binning, series.exposure_time, series.power) == (2, 0.02, None)
    with pytest.raises(ValidationError, match="expected uint8, found the negative number -1"):
        series.binning = -1


@pytest.mark.parametrize("cls", [nwb.ImageSeries, nwb.OpticalSeries])
def test_external_file_needs_nothing_else(tmp_path, cls):
    series = cls(name="m", external_file=["movie.tif"], rate=30.0, num_samples=7)
    assert (series.format, series.unit) == ("external", "n.a.")
    assert (series.data.shape, series.data.dtype) == ((0, 0, 0), np.uint8)
    assert series.starting_frame.tolist() == [0]
    assert series.num_frames == len(series.get_timestamps()) == 7
    given = cls(name="m", external_file=tmp_path / "movie.tif", unit="lumens", format="tiff")
    assert given.external_file.tolist() == [str(tmp_path / "movie.tif")]
    assert (given.format, given.unit) == ("tiff", "lumens")


def test_several_external_files_do_not_tell_their_frames():
    files = ["a.tif", "b.tif"]
    assert nwb.ImageSeries(name="m", external_file=files, rate=1.0).starting_frame is None
    series = nwb.ImageSeries(name="m", external_file=files, starting_frame=[0, 5], rate=1.0)
    assert series.starting_frame.tolist() == [0, 5]


def test_external_file_beside_data_changes_nothing():
    frames = np.zeros((5, 4, 3))
    series = nwb.ImageSeries(name="m", data=frames, unit="n.a.", external_file=["m.tif"], rate=1.0)
    assert (series.format, series.data.shape) == ("raw", (5, 4, 3))


def test_image_series_without_data_needs_a_file():
    with pytest.raises(ValidationError, match=r"data\n  Field required"):
        nwb.ImageSeries(name="m", rate=1.0)


def test_optical_series_is_gray_or_colored():
    frames = np.zeros((5, 4, 2, 3))
    series = nwb.OpticalSeries(name="m", data=frames, unit="n.a.", rate=1.0, distance=0.3)
    assert isinstance(series.data, nwb.OpticalSeriesData)
    with pytest.raises(ValidationError, match=r"expected axes .*\(frame, x, y, 3\)"):
        nwb.OpticalSeries(name="m", data=frames[..., :2], unit="n.a.", rate=1.0)


def test_image_mask_series_links_what_it_masks(movie):
    series = nwb.ImageMaskSeries(
        name="m", data=np.zeros((5, 4, 3)), unit="n.a.", rate=1.0, masked_imageseries=movie
    )
    assert series.masked_imageseries is movie


@pytest.mark.parametrize(
    ("cls", "data", "unit"),
    [
        (nwb.IndexSeries, [2, 0, 1], "N/A"),
        (nwb.AnnotationSeries, ["a", "b", "c"], "n/a"),
        (nwb.IntervalSeries, [1, -1, 2], "n/a"),
        (nwb.SpatialSeries, [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]], "meters"),
    ],
)
def test_series_that_know_their_unit(cls, data, unit):
    series = cls(name="s", data=data, timestamps=[0.0, 0.5, 1.0])
    assert series.unit == series.data.unit == unit
    assert np.asarray(series.data).tolist() == data


def test_series_take_data_of_a_general_kind():
    data = nwb.TimeSeriesData(array=np.zeros((3, 2)), unit="cm", conversion=0.5)
    series = nwb.SpatialSeries(name="s", data=data, rate=1.0)
    assert isinstance(series.data, nwb.SpatialSeriesData)
    assert (series.unit, series.conversion) == ("cm", 0.5)
    assert series.data.array is data.array


COLLECTIONS = [
    nwb.BehavioralEpochs,
    nwb.BehavioralEvents,
    nwb.BehavioralTimeSeries,
    nwb.CompassDirection,
    nwb.DfOverF,
    nwb.EyeTracking,
    nwb.Fluorescence,
    nwb.ImageSegmentation,
    nwb.MotionCorrection,
    nwb.Position,
    nwb.PupilTracking,
]


@pytest.mark.parametrize("cls", COLLECTIONS)
def test_collections_go_by_their_type(cls, scope):
    assert cls().name == cls.__name__
    assert cls(name="other").name == "other"
    with pytest.raises(ValidationError, match=r"expected \w+, found Device <Device scope"):
        cls(children=[scope])


# -- planes, images ------------------------------------------------------------------------------


def test_imaging_plane(plane, scope):
    assert plane.device is scope
    assert plane.children["green"].emission_lambda == plane["green"].emission_lambda == 520.0
    plane.origin_coords = [1, 2, 3]
    assert (plane.origin_coords.dtype, plane.origin_coords_unit) == (np.float64, "meters")
    assert (plane.manifold, plane.manifold_conversion) == (None, 1.0)
    with pytest.raises(ValidationError, match="expected float32, found the text 'blue'"):
        plane.excitation_lambda = "blue"


def test_imaging_plane_names_all_that_is_missing():
    with pytest.raises(ValidationError, match="4 validation errors for ImagingPlane") as caught:
        nwb.ImagingPlane(name="plane")
    missing = {error["loc"][0] for error in caught.value.errors()}
    assert missing == {"device", "excitation_lambda", "indicator", "location"}


def test_device_links_its_model():
    model = nwb.DeviceModel(name="Bergamo III", manufacturer="Thorlabs", model_number="B3")
    device = nwb.Device(name="scope", model=model, model_name="old", serial_number="7")
    assert device.model is model
    assert (device.model_name, device.model.model_number) == ("old", "B3")
    with pytest.raises(ValidationError, match="expected DeviceModel, found 'Bergamo III'"):
        nwb.Device(name="scope", model="Bergamo III")


def test_corrected_image_stack(movie):
    stack = nwb.CorrectedImageStack(
        name="plane0",
        corrected=nwb.ImageSeries(
            name="corrected", data=np.zeros((5, 4, 3)), unit="n.a.", rate=1.0
        ),
        xy_translation=nwb.TimeSeries(
            name="xy_translation", data=np.zeros((5, 2)), unit="pixels", rate=1.0
        ),
        original=movie,
    )
    correction = nwb.MotionCorrection(children=[stack])
    assert correction["plane0/corrected"] is stack.corrected
    assert stack.original is movie


def test_images_in_an_order():
    mean = nwb.GrayscaleImage(name="mean", array=np.zeros((4, 3)), resolution=2.0)
    color = nwb.RGBImage(name="color", array=np.zeros((4, 3, 3)), description="overlay")
    path = nwb.ExternalImage(name="path", array="a.png", image_format="PNG")
    images = nwb.Images(
        description="projections",
        children=[mean, color, path],
        order_of_images=[color, path, mean],
    )
    assert images.name == "Images"
    assert list(images.order_of_images.array) == [color, path, mean]
    assert images.order_of_images.name == "order_of_images"
    assert path.array == "a.png"
    images.order_of_images = nwb.ImageReferences(name="mine", array=[mean, path, color])
    assert list(images.order_of_images) == [mean, path, color]
    series = nwb.IndexSeries(name="shown", data=[0, 2, 1], rate=1.0, indexed_images=images)
    assert series.indexed_images is images
    with pytest.raises(ValidationError, match="expected images, found 'mean'"):
        images.order_of_images = ["mean"]


@pytest.mark.parametrize(
    ("cls", "shape"),
    [
        (nwb.GrayscaleImage, (4, 3, 3)),
        (nwb.RGBImage, (4, 3)),
        (nwb.RGBAImage, (4, 3, 3)),
        (nwb.Image, (4, 3, 2)),
    ],
)
def test_image_refuses_other_axes(cls, shape):
    with pytest.raises(ValidationError, match=r"expected axes \(x, y"):
        cls(name="i", array=np.zeros(shape))


# -- segmentation --------------------------------------------------------------------------------


def test_plane_segmentation_of_images(segmentation):
    assert segmentation.colnames == ["image_mask"]
    assert segmentation.id.array.tolist() == [0, 1]
    assert segmentation.image_mask.name == "image_mask"
    assert segmentation.image_mask.description
    assert segmentation["image_mask"][1].argmax() == 9


@pytest.mark.parametrize(
    "points",
    [
        [(1, 2, 0.5), (3, 0, 1.0), (0, 1, 2.0)],
        np.array([[1, 2, 0.5], [3, 0, 1.0], [0, 1, 2.0]]),
        np.array([[1, 2, 0.5], [3, 0, 1.0], [0, 1, 2.0]], np.float32),
        np.array(
            [(1, 2, 0.5), (3, 0, 1.0), (0, 1, 2.0)], [("x", "i8"), ("y", "u4"), ("weight", "f4")]
        ),
    ],
    ids=["rows", "float64", "float32", "compound"],
)
def test_plane_segmentation_of_pixels(plane, points):
    table = nwb.PlaneSegmentation(
        name="s", description="d", imaging_plane=plane, pixel_mask=points, pixel_mask_index=[1, 3]
    )
    assert (table.colnames, len(table)) == (["pixel_mask"], 2)
    assert table.pixel_mask.dtype.names == ("x", "y", "weight")
    assert table.pixel_mask.dtype["x"].kind == "u"
    assert table["pixel_mask"][1].tolist() == [(3, 0, 1.0), (0, 1, 2.0)]


@pytest.mark.parametrize("kind", [list, np.array])
def test_masks_one_roi_at_a_time(plane, kind):
    table = nwb.PlaneSegmentation(name="s", description="d", imaging_plane=plane)
    rois = [[(1, 2, 3, 0.5), (3, 0, 1, 1.0)], [], [(0, 1, 2, 2.0)]]
    table.add_column("voxel_mask", [kind(roi) for roi in rois], "by hand", index=True)
    assert isinstance(table.voxel_mask, nwb.PlaneSegmentationVoxelMask)
    assert isinstance(table.voxel_mask_index, nwb.PlaneSegmentationVoxelMaskIndex)
    assert [row.tolist() for row in table["voxel_mask"]] == rois


def test_precise_weights_stay_precise():
    weight = 0.1
    assert nwb.PlaneSegmentationPixelMask(array=np.array([[1, 2, weight]])).array["weight"] == 0.1
    whole = nwb.PlaneSegmentationPixelMask(array=np.array([[1, 2, 3]]))
    assert whole.dtype["weight"] == np.float32


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([(1.5, 2, 1.0)], "member 'x': expected positions, whole numbers from 0"),
        ([(1, -2, 1.0)], "member 'y': expected positions"),
        ([(1, np.nan, 1.0)], "member 'y': expected positions"),
        ([(1, 2**32, 1.0)], "member 'y': expected positions"),
        ([(1, 2)], r"expected rows of \(x, y, weight\).*found int64 of shape \(1, 2\)"),
        ([[(1, 2, 1.0)], [(1, 2, 1.0), (2, 2, 1.0)]], r"add_column\(..., index=True\)"),
        ("mask", r"expected rows of \(x, y, weight\)"),
    ],
)
def test_masks_that_are_none(points, message):
    with pytest.raises(ValidationError, match=message):
        nwb.PlaneSegmentationPixelMask(array=points)


def test_traces_of_a_segmentation(segmentation):
    region = segmentation.create_region([1, 0], description="by brightness")
    series = nwb.RoiResponseSeries(
        name="traces", data=np.zeros((5, 2)), unit="lumens", rate=30.0, rois=region
    )
    assert isinstance(series.rois, nwb.RoiResponseSeriesRois)
    assert series.rois.table is segmentation
    assert series.rois.array.tolist() == [1, 0]
    assert (series.rois.name, series.rois.description) == ("rois", "by brightness")
    again = nwb.RoiResponseSeries(
        name="again", data=np.zeros((5, 2)), unit="lumens", rate=30.0, rois=region
    )
    assert again.rois.object_id != series.rois.object_id
    module = nwb.Fluorescence(children=[series, again])
    assert list(module.children) == ["traces", "again"]


def test_column_of_a_general_kind_keeps_what_it_says(plane):
    masks = nwb.VectorData(name="pixel_mask", array=[(0, 1, 2.0)], description="mine")
    index = nwb.VectorIndex(name="i", array=[1], description="ends", target=masks)
    table = nwb.PlaneSegmentation(
        name="s", description="d", imaging_plane=plane, pixel_mask=masks, pixel_mask_index=index
    )
    assert table.pixel_mask.description == "mine"
    assert table.pixel_mask_index.description == "ends"
    assert table.pixel_mask_index.target is None  # the column of its name, not the one copied


# -- tables of times -----------------------------------------------------------------------------


def test_columns_are_attributes_and_children(movie):
    trials = nwb.TimeIntervals(
        name="trials",
        description="t",
        children=[
            nwb.VectorData(name="stop_time", description="s", array=[1.0, 2.0]),
            nwb.VectorData(name="start_time", description="s", array=[0.0, 1.0]),
            nwb.VectorData(name="correct", description="c", array=[True, False]),
        ],
    )
    assert trials.colnames == ["start_time", "stop_time", "correct"]
    assert len(trials) == 2
    assert trials.correct is trials.vector_data["correct"]
    assert "correct" in dir(trials)
    assert "correct" in trials._ipython_key_completions_()
    trials.add(nwb.VectorData(name="side", description="s", array=["left", "right"]))
    assert trials.colnames[-1] == "side"
    assert list(trials["side"]) == ["left", "right"]
    with pytest.raises(AttributeError, match="'TimeIntervals' object has no attribute 'wrong'"):
        trials.wrong  # noqa: B018
    with pytest.raises(SchemaError, match="trials, field 'stop_time': there is a column"):
        trials.add(nwb.VectorData(name="stop_time", description="s", array=[1.0, 2.0]))


def test_columns_that_are_ragged_on_two_levels():
    table = nwb.DynamicTable(name="t", description="t")
    rows = [[[1, 2], [3]], [], [[], [4, 5, 6]]]
    table.add_column("waves", rows, "w", index=2)
    assert [[list(one) for one in row] for row in table["waves"]] == rows
    assert table["waves_index_index"].array.tolist() == [2, 2, 4]
    assert table["waves_index"].array.tolist() == [2, 3, 3, 6]
    message = r"t, field 'x': expected a sequence in each row, found 1 in row 1"
    with pytest.raises(SchemaError, match=message):
        table.add_column("x", [[2], 1, [3]], "x", index=True)
    assert table.colnames == ["waves"]


def test_columns_of_no_rows():
    table = nwb.DynamicTable(name="t", description="t")
    for data in (3, "ab"):
        with pytest.raises(
            SchemaError, match=f"t, field 'x': .* one element a row, found {data!r}"
        ):
            table.add_column("x", data, "x")
    table.add_column("x", (one for one in (1, 2)), "x")
    table.add_column("y", {"a": 3, "b": 4}.values(), "y")
    assert (table.x.array.tolist(), table.y.array.tolist()) == ([1, 2], [3, 4])


@pytest.mark.parametrize(
    ("method", "instead"),
    [
        ("add_acquisition", r"session\.acquisition\.add\(\.\.\.\)"),
        ("create_device", r"session\.devices\.add\(\.\.\.\)"),
        ("create_processing_module", r"session\.processing\.add\(\.\.\.\)"),
        ("add_trial", r"session\.trials, a table, and its add_row\(\.\.\.\)"),
    ],
)
def test_methods_of_pynwb_are_told_what_to_use(session, method, instead):
    with pytest.raises(AttributeError, match=rf"no attribute '{method}'; use {instead}") as caught:
        getattr(session, method)
    assert (caught.value.name, caught.value.obj) == (method, session)


def test_data_are_called_array():
    with pytest.raises(ValidationError, match=r"data\n  Extra .* did you mean 'array'"):
        nwb.VectorData(name="a", description="a", data=[1])


def test_rows_one_at_a_time():
    trials = nwb.TimeIntervals(name="trials", description="t", start_time=[], stop_time=[])
    trials.add_column("side", [], "s")
    trials.add_column("licks", [], "l", index=True)
    trials.add_row(start_time=0, stop_time=1.5, side="left", licks=[0.1, 0.2])
    trials.add_row(start_time=2.0, stop_time=3.5, side="right", licks=[], id=7)
    assert trials.id.array.tolist() == [0, 7]
    assert list(trials["side"]) == ["left", "right"]
    assert [list(row) for row in trials["licks"]] == [[0.1, 0.2], []]
    assert trials.start_time.dtype == np.float64
    with pytest.raises(SchemaError, match=r"'side': expected one value for each new row.*add_row "):
        trials.add_rows(start_time=[0.0], stop_time=[0.0], side="left", licks=[[]])
    assert len(trials) == 2


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        (["b", "a"], "str", ["b", "a"]),
        (["b", "a"], "category", ["b", "a"]),
        ([2, 1], "Int64", [2, 1]),
        ([True, False], "boolean", [True, False]),
        ([2.5, 1.0], "Float64", [2.5, 1.0]),
    ],
)
def test_columns_of_pandas(tmp_path, session, values, dtype, expected):
    pandas = pytest.importorskip("pandas")
    column = pandas.Series(values, index=[7, 3], dtype=dtype)
    session.trials = nwb.TimeIntervals(
        name="trials",
        description="t",
        start_time=pandas.Series([0.0, 1.0], index=[7, 3]),
        stop_time=[0.5, 1.5],
    )
    session.trials.add_column("side", column, "s")
    session.acquisition.add(nwb.TimeSeries(name="s", data=column, unit="n.a.", rate=1.0))
    nwb_ophys.write(session, tmp_path / "a.nwb")
    with nwb_ophys.open(tmp_path / "a.nwb") as stored:
        assert stored.trials["side"][:].tolist() == expected
        assert stored.acquisition["s"].data[:].tolist() == expected


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.array(["2020-01-01"], "M8[s]"), r"found datetime64\[s\] \(give times as numbers"),
        (np.ma.masked_array([1, 2], [False, True]), r"found some masked \(give array\.filled"),
    ],
)
def test_data_that_would_lose_their_meaning(data, message):
    with pytest.raises(ValidationError, match=message):
        nwb.TimeSeries(name="s", data=data, unit="n.a.", rate=1.0)
    whole = np.ma.masked_array([1, 2], [False, False])
    series = nwb.TimeSeries(name="s", data=whole, unit="n.a.", rate=1.0)
    assert type(series.data.array) is np.ndarray


def test_tables_that_a_type_names_are_in_its_data_frame():
    recordings = make(get_type("core", "IntracellularRecordingsTable"))
    assert set(recordings.categories) >= {"electrodes", "stimuli", "responses"}
    frame = recordings.to_dataframe()
    assert {name for name, _ in frame.columns} >= {"electrodes", "stimuli", "responses"}
    assert len(frame) == len(recordings)


def test_region_as_a_data_frame(segmentation):
    segmentation.add_column("snr", [7.0, 8.0], "s")
    frame = segmentation.create_region([1]).to_dataframe(exclude=["image_mask"])
    assert frame.to_dict("list") == {"snr": [8.0]}


def test_time_intervals(movie):
    table = nwb.TimeIntervals(
        name="trials", description="d", start_time=[0, 1], stop_time=np.array([1.0, 2.5])
    )
    table.add_column("tags", [["a"], ["b", "c"]], "tags", index=True)
    table.add_column(
        "timeseries", [[(0, 2, movie)], [(2, 1, movie), (3, 1, movie)]], "", index=True
    )
    assert table.colnames == ["start_time", "stop_time", "tags", "timeseries"]
    assert isinstance(table.tags_index, nwb.TimeIntervalsTagsIndex)
    assert list(table["tags"][1]) == ["b", "c"]
    assert table["timeseries"][1][0]["timeseries"] is movie
    assert table.to_dataframe()["stop_time"].tolist() == [1.0, 2.5]


def test_time_intervals_of_concatenated_arrays(movie):
    table = nwb.TimeIntervals(
        name="epochs",
        description="d",
        start_time=[0.0, 1.0],
        stop_time=[1.0, 2.0],
        tags=["a", "b", "c"],
        tags_index=[1, 3],
        timeseries=[(0, 2, movie), (2, 1, movie)],
        timeseries_index=[1, 2],
    )
    assert [list(tags) for tags in table["tags"]] == [["a"], ["b", "c"]]
    assert table.timeseries.array["count"].tolist() == [2, 1]


def test_events_table():
    table = nwb.EventsTable(
        name="licks",
        description="d",
        timestamp=[0.5, 0.1],
        duration=[np.nan, 0.2],
        annotation=["first", "second"],
    )
    assert (table.timestamp.unit, table.timestamp.resolution) == ("seconds", None)
    assert table.colnames == ["timestamp", "duration", "annotation"]
    with pytest.raises(ValidationError, match=r"timestamp\n  Field required"):
        nwb.EventsTable(name="licks", description="d")


# -- the file ------------------------------------------------------------------------------------


def test_file_completes_its_times(session):
    assert session.name == "root"
    assert session.nwb_version == "2.11.0"
    assert session.timestamps_reference_time == session.session_start_time == START
    assert len(session.file_create_date) == 1
    assert session.file_create_date[0].tzinfo is not None
    later = START + timedelta(hours=1)
    given = nwb.NWBFile(
        identifier="i",
        session_description="d",
        session_start_time=START.isoformat(),
        timestamps_reference_time=later,
        file_create_date=later,
    )
    assert given.session_start_time == START
    assert (given.timestamps_reference_time, given.file_create_date) == (later, [later])


def test_a_missing_start_is_one_error():
    with pytest.raises(ValidationError) as caught:
        nwb.NWBFile(identifier="a", session_description="b")
    assert [one["loc"] for one in caught.value.errors()] == [("session_start_time",)]


def test_file_refuses_a_time_without_offset():
    with pytest.raises(ValidationError, match=r"session_start_time\n.*has no offset from UTC"):
        nwb.NWBFile(
            identifier="i", session_description="d", session_start_time=datetime(2024, 5, 17)
        )


@pytest.mark.parametrize("field", ["experimenter", "keywords", "related_publications"])
def test_single_text_is_a_list_of_one(session, field):
    setattr(session, field, "Lovelace, Ada")
    assert getattr(session, field) == ["Lovelace, Ada"]
    setattr(session, field, ("a", "b"))
    assert getattr(session, field) == ["a", "b"]
    with pytest.raises(ValidationError, match="expected a list of text, found 3"):
        setattr(session, field, 3)


def test_file_holds_things_where_they_belong(session, scope, plane, movie, segmentation):
    session.devices.add(scope)
    session.imaging_planes.add(plane)
    session.acquisition.add(movie)
    session.subject = nwb.Subject(subject_id="m1", species="Mus musculus", age="P90D")
    session.trials = nwb.TimeIntervals(
        name="trials", description="d", start_time=[0.0], stop_time=[1.0]
    )
    module = session.processing.add(nwb.ProcessingModule(name="ophys", description="d"))
    module.children.add(nwb.ImageSegmentation(children=[segmentation]))
    paths = {
        "general/devices/scope": scope,
        "general/optophysiology/plane": plane,
        "general/subject": session.subject,
        "acquisition/m": movie,
        "intervals/trials": session.trials,
        "processing/ophys/ImageSegmentation/PlaneSegmentation": segmentation,
    }
    assert {path: session[path] for path in paths} == paths
    assert session.processing["ophys"]["ImageSegmentation"]["PlaneSegmentation"] is segmentation
    assert set(session.find(nwb.DynamicTable)) == {session.trials, segmentation}
    assert session.subject.age_reference == "birth"


@pytest.mark.parametrize(
    ("collection", "wanted"),
    [
        ("acquisition", "DynamicTable or NWBDataInterface"),
        ("processing", "ProcessingModule"),
        ("stimulus_template", "Images or TimeSeries"),
        ("imaging_planes", "ImagingPlane"),
        ("lab_meta_data", "LabMetaData"),
        ("intervals", "TimeIntervals"),
        ("events", "EventsTable"),
    ],
)
def test_collection_refuses_another_type(session, scope, collection, wanted):
    with pytest.raises(ValueError, match=f"expected {wanted}, found Device <Device scope"):
        getattr(session, collection).add(scope)


def test_subject_is_text():
    born = datetime(2024, 1, 1, tzinfo=UTC)
    subject = nwb.Subject(date_of_birth=born, sex="F", strain="C57BL/6J")
    assert (subject.name, subject.date_of_birth) == ("subject", born)
    with pytest.raises(ValidationError, match=r"weight\n.*expected text, found 0.02 of type float"):
        subject.weight = 0.02


def test_a_collection_is_not_shared(session, scope):
    other = nwb.NWBFile(identifier="b", session_description="b", session_start_time=START)
    session.devices.add(scope)
    other.devices = session.devices
    assert other.devices["scope"] is scope
    other.devices.add(nwb.Device(name="second"))
    assert list(session.devices) == ["scope"]


def test_scratch_and_software(session):
    session.scratch.add(nwb.ScratchData(name="s", array=np.arange(3), notes="tried"))
    session.was_generated_by = [["suite2p", "0.14.0"], ["nwb_ophys", "0.1.0"]]
    assert session.scratch["s"][1] == 1
    assert session.was_generated_by.shape == (2, 2)
    with pytest.raises(ValidationError, match=r"expected axes \(num_sources, 2\)"):
        session.was_generated_by = ["suite2p", "0.14.0"]
