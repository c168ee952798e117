"""Masks: every form against independent arithmetic, and back; all axes of different lengths."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

import nwb_ophys as nwb
from nwb_ophys.errors import SchemaError
from nwb_ophys.masks import FlatMasks, Masks, parse_masks
from tests.small import HEIGHT, SEGMENTATION, WIDTH, small_file, small_session

properties = settings(max_examples=60)

SHAPES = ((7, 4), (3, 11), (5, 4, 3))


@st.composite
def dense_masks(draw: Any, dtypes: tuple[str, ...] = ("f4", "f8", "u1", "i2", "?")) -> np.ndarray:
    shape = draw(st.sampled_from(SHAPES))
    rois = draw(st.integers(0, 6))
    seed = draw(st.integers(0, 2**32 - 1))
    dtype = np.dtype(draw(st.sampled_from(dtypes)))
    random = np.random.default_rng(seed)
    there = random.random((rois, *shape)) < draw(st.sampled_from([0.0, 0.1, 0.6, 1.0]))
    weights = random.uniform(-3, 3, there.shape) * 40 if dtype.kind in "fi" else there * 7
    return np.where(there, weights, 0).astype(dtype)


def plane() -> nwb.ImagingPlane:
    return small_session().imaging_planes["plane"]


def axes_of(dense: np.ndarray) -> str:
    return "xyz"[: dense.ndim - 1]


def table_of(dense: Any, **options: Any) -> nwb.PlaneSegmentation:
    options = {"name": "t", "description": "d", "imaging_plane": plane(), **options}
    return nwb.PlaneSegmentation.from_masks(dense, **options)


def scattered(rows: list[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    """What pixels mean, one by one."""
    result = np.zeros((len(rows), *shape))
    for image, row in zip(result, rows, strict=True):
        for point in row.tolist():
            image[tuple(point[:-1])] += point[-1]
    return result


# -- conversions ---------------------------------------------------------------------------------


@given(dense_masks())
@properties
def test_images_become_pixels_and_images_again(dense: np.ndarray) -> None:
    masks = table_of(dense).masks
    rows = masks.to_pixel() if dense.ndim == 3 else masks.to_voxel()
    assert np.array_equal(scattered(rows, dense.shape[1:]), dense)
    assert [len(row) for row in rows] == [np.count_nonzero(image) for image in dense]
    again = table_of(rows, shape=dense.shape[1:]).masks
    assert np.array_equal(again.to_dense(dense.shape[1:]), dense)
    for one, other, third in zip(rows, again, masks, strict=True):
        assert one.dtype == other.dtype == third.dtype
        assert np.array_equal(one, other)
        assert np.array_equal(one, third)


@given(dense_masks(), st.randoms(use_true_random=False))
@properties
def test_pixels_keep_their_order_and_their_weights(dense: np.ndarray, random: Any) -> None:
    rows = []
    for row in table_of(dense).masks:
        order = list(range(len(row)))
        random.shuffle(order)
        rows.append(row[order])
    masks = table_of(rows).masks
    for mine, theirs in zip(masks, rows, strict=True):
        assert np.array_equal(mine, theirs)
    shape = dense.shape[1:]
    if len(rows):
        matrix = masks.to_sparse(shape)
        assert np.array_equal(matrix.toarray(), dense.reshape(len(dense), -1))
        back = Masks.of(parse_masks(matrix, axes_of(dense), shape))
        for mine, theirs in zip(back, rows, strict=True):
            assert np.array_equal(mine, theirs)


@given(dense_masks())
@properties
def test_sparse_rows_are_images_in_c_order(dense: np.ndarray) -> None:
    flat = sparse.csr_matrix(dense.reshape(len(dense), -1)) if len(dense) else None
    if flat is not None:
        masks = table_of(flat, shape=dense.shape[1:]).masks
        assert np.array_equal(masks.to_dense(dense.shape[1:]), dense)


@given(dense_masks())
@properties
def test_planes_are_volumes_of_depth_one(dense: np.ndarray) -> None:
    if dense.ndim == 4:
        deep = table_of(np.ones((1, 2, 3, 4))).masks
        with pytest.raises(SchemaError, match="cannot be pixels of a plane"):
            deep.to_pixel()
        return
    masks = table_of(dense, kind=("pixel", "voxel")).masks
    voxels = masks.using("voxel")
    assert all(not row["z"].any() for row in voxels)
    for flat, deep in zip(masks, voxels.to_pixel(), strict=True):
        assert np.array_equal(flat, deep)
    assert np.array_equal(voxels.to_dense((*dense.shape[1:], 1))[..., 0], dense)


@given(dense_masks(), st.sampled_from(["yx", "xy", "yxz", "zyx", "xzy"]))
@properties
def test_axes_come_back_as_they_were_given(dense: np.ndarray, axes: str) -> None:
    if len(axes) >= dense.ndim:
        with pytest.raises(SchemaError, match="expected 2 axes"):
            parse_masks(dense, axes)
        return
    masks = table_of(dense, axes=axes, kind=("pixel", "image")).masks
    for one in (masks, masks.using("image")):
        assert one.axes == "xyz"[: dense.ndim - 1]
        turned = one.transposed(axes)
        assert np.array_equal(turned.to_dense(dense.shape[1:]), dense)
        if len(dense):
            matrix = turned.to_sparse(dense.shape[1:]).toarray()
            assert np.array_equal(matrix.reshape(dense.shape), dense)
    x, y = masks.axes.index("x"), turned.axes.index("x")
    assert one.shape is not None
    assert turned.shape is not None
    assert one.shape[x] == turned.shape[y]


def test_rows_and_columns_of_one_pixel() -> None:
    image = np.zeros((1, 5, 9))  # (roi, row, column)
    image[0, 2, 7] = 0.5
    masks = table_of(image, axes="yx").masks
    assert masks[0].tolist() == [(7, 2, 0.5)]
    assert masks.transposed("yx")[0].dtype.names == ("y", "x", "weight")
    assert masks.transposed("yx")[0].tolist() == [(2, 7, 0.5)]
    assert table_of([[(2, 7, 0.5)]], axes="yx").masks[0].tolist() == [(7, 2, 0.5)]


def test_labels_become_masks_in_their_order() -> None:
    labels = np.array([[0, 9, 9, 0], [3, 9, 0, 0], [3, 0, 0, 3]])
    masks = table_of(labels).masks
    assert [sorted(row.tolist()) for row in masks] == [
        [(1, 0, 1.0), (2, 0, 1.0), (2, 3, 1.0)],
        [(0, 1, 1.0), (0, 2, 1.0), (1, 1, 1.0)],
    ]
    assert np.array_equal(masks.to_dense((3, 4)), [labels == 3, labels == 9])


def test_a_pixel_that_is_listed_twice_counts_with_both_weights() -> None:
    masks = table_of([[(1, 2, 0.5), (0, 0, 1.0), (1, 2, 0.25)], [(1, 2, 1.0), (1, 1, 0.0)]]).masks
    dense = masks.to_dense((3, 4))
    assert dense[0, 1, 2] == 0.75
    assert np.array_equal(masks.to_sparse((3, 4)).toarray().reshape(2, 3, 4), dense)
    assert masks.areas().tolist() == [2, 1]
    assert masks.overlaps().toarray().tolist() == [[2, 1], [1, 1]]


# -- measures ------------------------------------------------------------------------------------


@given(dense_masks(("f4", "u1")))
@properties
def test_measures(dense: np.ndarray) -> None:
    dense = np.abs(dense)
    masks = table_of(dense).masks
    inside = dense != 0
    places = np.indices(dense.shape[1:])
    assert masks.areas().tolist() == [one.sum() for one in inside]
    boxes, centers, plain = (
        masks.bounding_boxes(),
        masks.centroids(),
        masks.centroids(weighted=False),
    )
    for number, image in enumerate(dense.astype(float)):
        for axis, place in enumerate(places):
            there = place[inside[number]]
            box = [there.min(), there.max() + 1] if there.size else [0, 0]
            assert boxes[number, axis].tolist() == box
            if there.size:
                assert centers[number, axis] == pytest.approx((place * image).sum() / image.sum())
                assert plain[number, axis] == pytest.approx(there.mean())
            else:
                assert np.isnan(centers[number, axis])
    common = masks.overlaps().toarray()
    for a in range(len(dense)):
        for b in range(len(dense)):
            assert common[a, b] == (inside[a] & inside[b]).sum()


def polygon_area(outline: np.ndarray) -> float:
    x, y = outline.T
    return float((x[:-1] * y[1:] - x[1:] * y[:-1]).sum() / 2)


@given(dense_masks(("u1",)))
@properties
def test_outlines_enclose_the_pixels(dense: np.ndarray) -> None:
    flat = dense.max(axis=-1) if dense.ndim == 4 else dense
    for image, found in zip(flat, table_of(dense).masks.contours(), strict=True):
        assert sum(map(polygon_area, found)) == pytest.approx(np.count_nonzero(image))
        steps = [np.abs(np.diff(one, axis=0)) for one in found]
        assert all((np.count_nonzero(one, axis=1) == 1).all() for one in steps)
        padded = np.pad(image != 0, 1).astype(int)
        edges = np.abs(np.diff(padded, axis=0)).sum() + np.abs(np.diff(padded, axis=1)).sum()
        assert sum(one.sum() for one in steps) == edges
        assert all(np.array_equal(one[0], one[-1]) for one in found)


def test_outlines_of_a_ring_and_of_pixels_that_touch_at_a_corner() -> None:
    ring = np.ones((3, 3))
    ring[1, 1] = 0
    corner = np.eye(2)
    image = np.zeros((2, 6, 5))
    image[0, 2:5, 1:4] = ring
    image[1, 3:5, 0:2] = corner
    ringed, touching = table_of(image).masks.contours()
    assert [polygon_area(one) for one in ringed] == [9.0, -1.0]
    assert ringed[0].tolist() == [[1.5, 0.5], [4.5, 0.5], [4.5, 3.5], [1.5, 3.5], [1.5, 0.5]]
    assert [polygon_area(one) for one in touching] == [1.0, 1.0]
    weighted = np.zeros((1, 4, 3))
    weighted[0, 1] = [0.2, 1.0, 0.6]
    assert polygon_area(table_of(weighted).masks.contours(threshold=0.5)[0][0]) == 2


# -- stored masks --------------------------------------------------------------------------------


def test_masks_of_a_file_are_read_when_they_are_asked_for(tmp_path: Path) -> None:
    with nwb.open(small_file(tmp_path / "a.nwb")) as session:
        masks = session[SEGMENTATION].masks
        assert len(masks) == 5
        assert repr(masks) == "<Masks of 5 ROIs, axes xy: pixel>"
        assert masks[3].tolist() == [(3, 1, 1.0), (3, 2, 0.5)]
        assert masks[-1].tolist() == [(4, 1, 1.0), (4, 2, 0.5)]
        assert "flat" not in masks.__dict__
        with pytest.raises(IndexError):
            masks[5]
        assert masks.shape == (WIDTH, HEIGHT)  # that of the movie
        dense = masks.to_dense()
        assert dense.shape == (5, WIDTH, HEIGHT)
        assert dense[2, 2, 1] == 1.0
        assert masks[3].tolist() == [(3, 1, 1.0), (3, 2, 0.5)]
        some = masks[[4, 1]]
        assert [row.tolist() for row in some] == [masks[4].tolist(), masks[1].tolist()]
        assert np.array_equal(some.to_dense(), dense[[4, 1]])


def test_the_size_is_told_by_reference_images_first(tmp_path: Path) -> None:
    session = small_session()
    table = session[SEGMENTATION]
    table.reference_images.add(
        nwb.ImageSeries(name="ref", data=np.zeros((1, 9, 8)), unit="n.a.", rate=1.0)
    )
    assert table.masks.shape == (9, 8)
    nwb.write(session, tmp_path / "a.nwb")
    with nwb.open(tmp_path / "a.nwb") as opened:
        assert opened[SEGMENTATION].masks.shape == (9, 8)


def test_where_nothing_tells_the_size_it_is_asked_for() -> None:
    masks = table_of([[(3, 1, 1.0)]]).masks
    with pytest.raises(SchemaError, match=r"told nowhere \(give shape=\(width, height\).*\(4, 2\)"):
        masks.to_dense()
    with pytest.raises(SchemaError, match=r"^t: .*found x = 3 in ROI 0 .*are the axes exchanged"):
        masks.to_dense((2, 4))
    with pytest.raises(SchemaError, match=r"expected a shape of 2 axes, found \(2, 4, 1\)"):
        masks.to_dense((2, 4, 1))


def test_old_files_hold_rows_of_plain_numbers(tmp_path: Path) -> None:
    path = small_file(tmp_path / "a.nwb")
    with h5py.File(path, "r+") as file:
        table = file[SEGMENTATION]
        pixels = table["pixel_mask"][()]
        attributes = dict(table["pixel_mask"].attrs)
        del table["pixel_mask"]
        rows = np.stack([pixels[n].astype("i8") for n in ("x", "y", "weight")], axis=1)
        table["pixel_mask"] = rows
        table["pixel_mask"].attrs.update(attributes)
        table["pixel_mask_index"].attrs["target"] = table["pixel_mask"].ref
    with nwb.open(path) as session:
        assert session[SEGMENTATION].masks[3].tolist() == [(3, 1, 1.0), (3, 2, 0.0)]
        assert session[SEGMENTATION].masks.flat.counts.tolist() == [2] * 5


def test_positions_that_are_none_are_named(tmp_path: Path) -> None:
    flat = FlatMasks.from_points(np.array([[1.0, 2.0, 0.5]]), [1], "xy")
    assert flat.coordinates[0].dtype == np.uint32
    with pytest.raises(SchemaError, match=r"positions along y, whole numbers from 0, found 2\.5"):
        FlatMasks.from_points(np.array([[1.0, 2.5, 0.5]]), [1], "xy")


# -- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("masks", "options", "message"),
    [
        (np.zeros((3, 4)), {}, r"found float64 of shape \(3, 4\) \(one mask alone is given as mas"),
        (np.zeros((2, 3, 4, 5, 6)), {}, "found float64 of shape"),
        (np.full((2, 3, 4), np.nan), {}, "finite weights, found nan in ROI 0 and others in 1 more"),
        ([[(0, 1, np.inf)]], {}, "finite weights, found inf in ROI 0"),
        ([[(0, 1, 1)], [(0, 1, 2, 1)]], {}, r"shape \(1, 4\) for ROI 1 after ROIs of \(pixel, 3\)"),
        ([np.zeros((5, 6))], {}, r"shape \(5, 6\) for ROI 0 .*numpy\.stack"),
        ([[(-1, 1, 1)]], {}, r"positions along x, whole numbers from 0, found -1"),
        ([[(3, 1, 1)]], {"shape": (3, 2)}, r"within xy of \(3, 2\), found x = 3 in ROI 0"),
        (np.ones((1, 3, 4)), {"shape": (4, 3)}, r"shape \(4, 3\), found \(3, 4\)"),
        (sparse.eye(3).tocsr(), {}, "needs shape="),
        (sparse.eye(3).tocsr(), {"shape": (2, 2)}, "expected 4 columns"),
        (np.ones((1, 3, 4)), {"axes": "ab"}, "expected axes 'xy' or 'yx'"),
        (np.ones((1, 3, 4)), {"kind": "polygon"}, "kinds of masks among 'pixel', 'voxel', 'image'"),
        ([[(1, 1, 1)]], {"kind": "image"}, "need shape="),
        (-np.ones((3, 4), int), {}, "labels from 0, found -1"),
        ("cells.tif", {}, "found 'cells.tif'"),
    ],
)
def test_what_are_no_masks_is_refused(masks: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        table_of(masks, **options)


def test_tables_without_masks_say_so() -> None:
    table = nwb.PlaneSegmentation(name="t", description="d", imaging_plane=plane())
    with pytest.raises(SchemaError, match="there are no masks; there are none at all"):
        table.masks  # noqa: B018
    with pytest.raises(SchemaError, match="no voxel masks; there are pixel"):
        table_of(np.ones((1, 3, 4))).masks.using("voxel")


def calls_of(work: Any) -> int:
    calls = 0

    def count(frame: Any, event: str, argument: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.parametrize("form", ["dense", "labels", "sparse"])
def test_arrays_become_columns_without_a_loop_over_rois(form: str) -> None:
    options: dict[str, Any] = {"kind": ("pixel", "image"), "shape": (30, 20)}

    def given_as(rois: int) -> Any:
        labels = np.zeros(600, int)
        labels[:rois] = np.arange(1, rois + 1)
        dense = np.arange(1, rois + 1)[:, None] == labels
        if form == "sparse":
            return sparse.csr_matrix(dense)
        return labels.reshape(30, 20) if form == "labels" else dense.reshape(rois, 30, 20)

    few, many = given_as(5), given_as(500)
    table_of(few, **options)
    calls = [calls_of(lambda m=m: table_of(m, **options).masks.to_sparse()) for m in (few, many)]
    assert calls[1] < calls[0] + 100


def test_large_images_are_made_while_they_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nwb_ophys.masks.rendered._IN_MEMORY", 0)
    dense = np.random.default_rng(0).random((9, WIDTH, HEIGHT)) * (np.arange(9) % 3)[:, None, None]
    session = small_session()
    table = nwb.PlaneSegmentation.from_masks(
        dense,
        name="large",
        description="d",
        imaging_plane=session.imaging_planes["plane"],
        kind="image",
    )
    images: Any = table.image_mask
    assert not isinstance(images.array, np.ndarray)
    for index in (3, slice(2, 7), [5, 1], (2, slice(None), 1), (slice(None), 3), ..., dense > 1):
        assert np.array_equal(np.asarray(images.array)[index], dense[index])
        if not isinstance(index, np.ndarray):
            assert np.array_equal(images.array[index], dense[index])
    session.processing["ophys"]["ImageSegmentation"].add(table)
    nwb.write(session, tmp_path / "a.nwb")
    with h5py.File(tmp_path / "a.nwb") as file:
        assert np.array_equal(file["processing/ophys/ImageSegmentation/large/image_mask"], dense)


# -- rows ----------------------------------------------------------------------------------------


def test_rows_are_added_in_bulk() -> None:
    table = table_of([[(0, 1, 0.5)], []])
    table.add_column("snr", [1.0, 2.0], "signal")
    table.add_column("name", ["a", "b"], "name")
    table.add_column("tags", [["x", "y"], []], "tags", index=True)
    added = {
        "pixel_mask": [[(2, 2, 1.0), (3, 2, 0.5)], [], [(1, 1, 0.25)]],
        "snr": np.array([3.0, 4.0, 5.0]),
        "name": ["c", "d", "e"],
        "tags": [[], ["z"], ["u", "v"]],
    }
    table.add_rows(added)
    assert np.asarray(table.id).tolist() == [0, 1, 2, 3, 4]
    assert [row.tolist() for row in table.masks] == [
        [(0, 1, 0.5)],
        [],
        [(2, 2, 1.0), (3, 2, 0.5)],
        [],
        [(1, 1, 0.25)],
    ]
    assert np.asarray(table["snr"]).tolist() == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert [list(row) for row in table["tags"]] == [["x", "y"], [], [], ["z"], ["u", "v"]]
    table.add_rows([{"pixel_mask": [(9, 9, 1.0)], "snr": 6, "name": "f", "tags": ["w"]}], ids=[77])
    assert np.asarray(table.id).tolist() == [0, 1, 2, 3, 4, 77]
    assert table.masks[5].tolist() == [(9, 9, 1.0)]
    table.add_rows(pixel_mask=[[]], snr=[0.0], name=["g"], tags=[[]])
    frame = table.to_dataframe()[:-1]
    assert frame["name"].to_list() == ["a", "b", "c", "d", "e", "f"]


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ({"snr": [1.0]}, {}, "field 'pixel_mask': expected values for every column, found none"),
        ({"pixel_mask": [[]], "snr": [1.0], "sn": [1]}, {}, "found 'sn', which is none .*add_colu"),
        ({"pixel_mask": [[]], "snr": [1.0, 2]}, {}, "field 'snr': expected 1 rows, as 'pixel_mask"),
        ({"pixel_mask": [[]], "snr": ["high"]}, {}, "field 'snr': the new values do not fit"),
        ({"pixel_mask": [[]], "snr": [1.0]}, {"ids": [1, 2]}, "expected 1 identifiers, found 2"),
        ([{"pixel_mask": []}, {"snr": 1.0}], {}, "expected a value in row 0, found none"),
        (3, {}, "a mapping of columns .* found int"),
    ],
)
def test_rows_that_do_not_fit_change_nothing(rows: Any, options: Any, message: str) -> None:
    table = table_of([[(0, 1, 0.5)], []])
    table.add_column("snr", [1.0, 2.0], "signal")
    with pytest.raises(SchemaError, match=message):
        table.add_rows(rows, **options)
    assert len(table) == 2
    assert len(table.masks.flat.weights) == 1
    assert len(table["snr"]) == 2


def test_rows_are_added_to_a_table_of_a_file(tmp_path: Path) -> None:
    path = small_file(tmp_path / "a.nwb")
    with nwb.open(path) as session:
        table = session[SEGMENTATION]
        table.add_rows({"pixel_mask": [[(5, 3, 0.125)]], "snr": [9.0]})
        nwb.write(session, tmp_path / "b.nwb")
    with h5py.File(tmp_path / "b.nwb") as file:
        assert file[SEGMENTATION]["id"][:].tolist() == [0, 1, 2, 3, 4, 5]
        assert file[SEGMENTATION]["pixel_mask_index"][:].tolist() == [2, 4, 6, 8, 10, 11]
        assert file[SEGMENTATION]["pixel_mask"][-1].tolist() == (5, 3, 0.125)


# -- selecting -----------------------------------------------------------------------------------


def test_selected_rois_carry_masks_columns_and_traces(tmp_path: Path) -> None:
    session = small_session()
    session[SEGMENTATION].add_column("tags", [["a"], [], ["b", "c"], ["d"], []], "t", index=True)
    cells = session[SEGMENTATION]
    some = nwb.RoiResponseSeries(  # of ROIs 4, 2 and 0, in that order
        name="some",
        data=np.arange(60.0).reshape(20, 3),
        unit="n.a.",
        rate=30.0,
        rois=cells.create_region([4, 2, 0]),
    )
    session.processing["ophys"]["Fluorescence"].add(some)
    nwb.write(session, tmp_path / "a.nwb")
    with nwb.open(tmp_path / "a.nwb") as opened:
        table = opened[SEGMENTATION]
        assert sorted(one.name for one in table.responses()) == ["some", "traces"]
        accepted = np.array([False, False, True, True, True])
        chosen = table.select(accepted, name="accepted")
        assert len(chosen) == 3
        assert np.asarray(chosen.id).tolist() == [2, 3, 4]
        assert [row.tolist() for row in chosen.masks] == [
            table.masks[n].tolist() for n in (2, 3, 4)
        ]
        assert np.asarray(chosen["snr"]).tolist() == [0.5, 0.75, 1.0]
        assert [list(row) for row in chosen["tags"]] == [["b", "c"], ["d"], []]
        by_name = {one.name: one for one in chosen.responses()}
        assert np.asarray(by_name["some"].rois.array).tolist() == [2, 0]
        assert np.array_equal(by_name["some"].data.array, some.data.array[:, :2])
        assert np.array_equal(by_name["traces"].data.array, np.arange(100.0).reshape(20, 5)[:, 2:])
        assert by_name["traces"].rois.table is chosen

        opened.processing["ophys"]["ImageSegmentation"].add(chosen)
        opened.processing["ophys"].add(
            nwb.Fluorescence(name="Accepted", children=chosen.responses())
        )
        nwb.write(opened, tmp_path / "b.nwb")
    with nwb.open(tmp_path / "b.nwb") as written:
        table = written["/processing/ophys/ImageSegmentation/accepted"]
        traces = written["/processing/ophys/Accepted/traces"]
        assert traces.rois.table is table
        assert table.masks[0].tolist() == [(2, 1, 1.0), (2, 2, 0.5)]
        assert {one.name for one in table.responses()} == {"some", "traces"}


def test_rows_that_are_none_are_not_selected() -> None:
    table = table_of([[(0, 1, 0.5)], []])
    with pytest.raises(SchemaError, match="expected rows of the 2 that there are"):
        table.select([True, False, True])
    with pytest.raises(SchemaError, match="each ROI once"):
        table.select([1, 1])
