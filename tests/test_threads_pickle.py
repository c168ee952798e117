"""Sessions, models and arrays serve threads and processes, and copies stand on their own."""

from __future__ import annotations

import copy
import multiprocessing
import os
import pickle
import random
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from small import MOVIE, PLANE, ROIS, SEGMENTATION, TRACES, frames, small_session

import nwb_ophys as nwb
from nwb_ophys.hdf5 import nodes
from nwb_ophys.hdf5.fetching import Stored, fetch
from nwb_ophys.hdf5.raw import RawFile
from nwb_ophys.hdf5.selection import plan
from nwb_ophys.layout import layout_of


@pytest.fixture(scope="module")
def pool() -> Any:
    # A fresh interpreter, which shares nothing with this one.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as executor:
        yield executor


def total(array: Any) -> int:
    return int(np.asarray(array).sum())


def describe(model: Any) -> tuple[str, str, str]:
    return type(model).__name__, model.hdf5_path, repr(model)


def look_around(session: Any) -> list[Any]:
    movie = session.acquisition["movie"]
    traces = session[TRACES]
    return [
        session.identifier,
        session.session_start_time,
        list(session.processing),
        total(movie.data),
        movie.imaging_plane is session[PLANE],
        traces.rois.table is session[SEGMENTATION],
        [len(mask) for mask in session[SEGMENTATION]["pixel_mask"]],
    ]


def share_a_session(models: list[Any]) -> bool:
    first, second = models
    return first.imaging_plane is second.imaging_plane


def names(session: Any) -> list[str]:
    return [type(model).__name__ for model in session.walk()]


# -- of opened sessions ---------------------------------------------------------------------------


class TestProcesses:
    def test_arrays(self, path: Path, pool: ProcessPoolExecutor) -> None:
        with nwb.open(path) as session:
            for array in (session[MOVIE].data.array, session[MOVIE].data, session[TRACES].data):
                assert pool.submit(total, array).result() == total(array)
                again = pickle.loads(pickle.dumps(array))
                assert type(again) is type(array)
                np.testing.assert_array_equal(again, array)

    def test_models(self, path: Path, pool: ProcessPoolExecutor) -> None:
        with nwb.open(path) as session:
            for model in session.walk():
                if not model.hdf5_path.startswith("/specifications/"):
                    assert pool.submit(describe, model).result() == describe(model)

    def test_sessions(self, path: Path, pool: ProcessPoolExecutor) -> None:
        with nwb.open(path) as session:
            assert pool.submit(look_around, session).result() == look_around(session)

    def test_models_of_one_file_share_a_session(
        self, path: Path, pool: ProcessPoolExecutor
    ) -> None:
        with nwb.open(path) as session:
            models = [session[MOVIE], session[SEGMENTATION]]
            assert pool.submit(share_a_session, models).result()
            # Even when they travel one by one.
            first, second = (pickle.loads(pickle.dumps(model)) for model in models)
            assert first.imaging_plane is second.imaging_plane
            assert first.imaging_plane is not models[0].imaging_plane

    def test_read_sessions(self, path: Path, pool: ProcessPoolExecutor) -> None:
        session = nwb.read(path)
        path.unlink()
        assert pool.submit(look_around, session).result() == look_around(session)
        assert total(pickle.loads(pickle.dumps(session[MOVIE])).data) == total(frames())

    def test_models_come_back(self, path: Path, pool: ProcessPoolExecutor) -> None:
        with nwb.open(path) as session:
            back = pool.submit(copy.copy, session[MOVIE]).result()
            assert back.hdf5_path is None  # a copy belongs to no file
            assert total(back.data) == total(frames())

    def test_a_file_that_was_changed(self, path: Path) -> None:
        with nwb.open(path) as session:
            stored = [pickle.dumps(one) for one in (session, session[MOVIE], session[MOVIE].data)]
            array = pickle.dumps(session[MOVIE].data.array)
        os.utime(path, ns=(1, 1))
        for one in (*stored, array):
            with pytest.raises(nwb.FileChangedError, match=rf"{path}: this is no longer the file"):
                pickle.loads(one)
        path.unlink()
        for one in (*stored, array):
            with pytest.raises(nwb.FileMissingError, match=f"{path}: there is no such file"):
                pickle.loads(one)

    @pytest.mark.parametrize(
        "change",
        [
            lambda session: setattr(session, "identifier", "another"),
            lambda session: session.devices.add(nwb.Device(name="new")),
            lambda session: session.acquisition.__delitem__("movie"),
        ],
        ids=["assigned", "added", "removed"],
    )
    def test_changes_that_would_be_lost(self, path: Path, change: Callable[[Any], Any]) -> None:
        with nwb.open(path) as session:
            change(session)
            with pytest.raises(nwb.SchemaError, match=r"with changes cannot be pickled.*write it"):
                pickle.dumps(session)

    def test_after_the_session_was_closed(self, path: Path) -> None:
        with nwb.open(path) as session:
            movie = session[MOVIE]
        again = pickle.loads(pickle.dumps(movie))  # which opens the file for itself
        np.testing.assert_array_equal(again.data, frames())

    def test_a_relative_path(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(path.parent)
        with nwb.open("small.nwb") as session:
            stored = pickle.dumps(session[MOVIE])
        monkeypatch.chdir("/")
        np.testing.assert_array_equal(pickle.loads(stored).data, frames())

    def test_an_array_of_a_file_object(self, path: Path) -> None:
        with path.open("rb") as stream, nwb.open(stream) as session:
            message = rf"{MOVIE}/data: an array of a file object cannot be pickled \(open the file"
            with pytest.raises(nwb.DataError, match=message):
                pickle.dumps(session[MOVIE].data.array)

    def test_errors(self) -> None:
        error = nwb.LinkError("m", file="f", path="/p", field="x", hint="h")
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is nwb.LinkError
        assert str(again) == str(error) == "f, /p, field 'x': m (h)"


# -- of authored models -----------------------------------------------------------------------


def clone_by_pickle(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))


class TestAuthored:
    def test_pickle_keeps_the_whole_graph(self, pool: ProcessPoolExecutor) -> None:
        session = small_session()
        for again in (clone_by_pickle(session), pool.submit(copy_of, session).result()):
            assert look_around(again) == look_around(session)
            assert names(again) == names(session)
            assert again[MOVIE].object_id == session[MOVIE].object_id
            assert again[MOVIE].model_fields_set == session[MOVIE].model_fields_set

    def test_a_pickled_session_can_be_written(self, tmp_path: Path) -> None:
        nwb.write(clone_by_pickle(small_session()), tmp_path / "a.nwb")
        with nwb.open(tmp_path / "a.nwb") as session:
            assert look_around(session) == look_around(small_session())

    @pytest.mark.parametrize("clone", [copy.deepcopy, lambda one: one.model_copy(deep=True)])
    def test_deep_copies(self, clone: Callable[[Any], Any], tmp_path: Path) -> None:
        session = small_session()
        twin = clone(session)
        assert names(twin) == names(session)
        originals = {id(model) for model in session.walk()}
        assert not originals & {id(model) for model in twin.walk()}
        ids = {getattr(model, "object_id", None) for model in session.walk()} - {None}
        assert not ids & {getattr(model, "object_id", None) for model in twin.walk()}
        twin[MOVIE].data.array[0, 0, 0] = 99
        assert session[MOVIE].data[0, 0, 0] == 0
        twin.notes = "twin"
        assert session.notes is None

    def test_links_within_a_deep_copy_lead_into_it(self, tmp_path: Path) -> None:
        twin = small_session().model_copy(deep=True)
        assert twin[MOVIE].imaging_plane is twin[PLANE]
        assert twin[PLANE].device is twin.devices["scope"]
        assert twin[TRACES].rois.table is twin[SEGMENTATION]
        cells = twin[SEGMENTATION]
        assert cells.pixel_mask_index.target in (None, cells.pixel_mask)
        nwb.write(twin, tmp_path / "a.nwb")

    def test_links_out_of_a_deep_copy_stay(self) -> None:
        movie = small_session()[MOVIE]
        assert movie.model_copy(deep=True).imaging_plane is movie.imaging_plane

    def test_shallow_copies_share_what_they_hold(self) -> None:
        movie = small_session()[MOVIE]
        twin = copy.copy(movie)
        assert twin is not movie
        assert twin.object_id != movie.object_id
        assert twin.data is movie.data
        assert movie.model_copy(update={"description": "x"}).description == "x"
        assert movie.description == "no description"
        with pytest.raises(ValueError, match="expected text, found 3"):
            movie.model_copy(update={"description": 3})

    def test_copies_of_opened_objects(self, path: Path, tmp_path: Path) -> None:
        with nwb.open(path) as session:
            twin = session[MOVIE].model_copy(deep=True, update={"description": "a twin"})
            object.__setattr__(twin, "__dict__", {**twin.__dict__, "name": "twin"})
            assert (twin.hdf5_path, twin.description) == (None, "a twin")
            session.acquisition.add(twin)
            nwb.write(session, tmp_path / "a.nwb")
        with nwb.open(tmp_path / "a.nwb") as session:
            np.testing.assert_array_equal(session.acquisition["twin"].data, frames())
            assert session.acquisition["twin"].imaging_plane is session[PLANE]
            assert session.acquisition["twin"].description == "a twin"

    def test_cycles(self) -> None:
        session = small_session()
        movie = session[MOVIE]
        movie.attrs["self"] = movie
        movie.attrs["session"] = session
        again = clone_by_pickle(session)
        assert again[MOVIE].attrs["self"] is again[MOVIE]
        assert again[MOVIE].attrs["session"] is again
        for text in (repr(session), repr(movie), str(movie.model_dump()), repr(movie.children)):
            assert text
        assert session == session
        assert {session: 1, movie: 2}[movie] == 2
        twin = copy.deepcopy(session)
        assert twin[MOVIE] is not movie

    def test_equality_is_identity(self) -> None:
        one, two = (nwb.Device(name="d") for _ in range(2))
        assert one != two
        assert one == one
        assert len({one, two}) == 2


def copy_of(value: Any) -> Any:
    return value


# -- threads -----------------------------------------------------------------------------------


def touch_all(session: Any, seed: int) -> dict[str, int]:
    """Touch every field of every object in an order of its own; tell which objects were met."""
    chance = random.Random(seed)
    met = {}
    paths = [MOVIE, PLANE, SEGMENTATION, TRACES, "/general/devices/scope", f"{MOVIE}/data"]
    chance.shuffle(paths)
    stack = [session[path] for path in paths]
    while stack:
        model = stack.pop(chance.randrange(len(stack)))
        if id(model) in met.values():
            continue
        met[model.hdf5_path] = id(model)
        fields = list(layout_of(type(model)).fields)
        chance.shuffle(fields)
        for name in fields:
            value = getattr(model, name)
            if isinstance(value, nwb.models.GroupModel | nwb.models.DatasetModel):
                stack.append(value)
            elif isinstance(value, nwb.LazyArray) and value.shape is not None:
                assert value[...] is not None
        repr(model)
    return met


@pytest.fixture
def often() -> Any:
    """Switch threads as often as possible."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("often")
class TestThreads:
    def test_all_get_the_same_objects(self, path: Path) -> None:
        count = 8
        for turn in range(5):
            barrier = threading.Barrier(count)

            def work(seed: int, session: Any, barrier: threading.Barrier = barrier) -> Any:
                barrier.wait(30)
                return touch_all(session, seed)

            with nwb.open(path) as session, ThreadPoolExecutor(count) as executor:
                seeds = range(turn * count, turn * count + count)
                found = list(executor.map(work, seeds, [session] * count))
            for each in found[1:]:
                for place in each.keys() & found[0].keys():
                    assert each[place] == found[0][place], place

    def test_arrays_are_read_at_the_same_time(self, path: Path) -> None:
        with nwb.open(path) as session, ThreadPoolExecutor(8) as executor:
            data, masks = session[MOVIE].data, session[SEGMENTATION]["pixel_mask"]

            def work(seed: int) -> None:
                chance = random.Random(seed)
                for _ in range(50):
                    first = chance.randrange(20)
                    np.testing.assert_array_equal(data[first:], frames()[first:])
                    row = chance.randrange(ROIS)
                    assert masks[row]["x"].tolist() == [row, row]

            list(executor.map(work, range(8)))

    def test_closing_while_others_read(self, path: Path) -> None:
        for _ in range(20):
            session = nwb.open(path)
            data = session[MOVIE].data

            begun, closed = threading.Event(), threading.Event()

            def work(
                seed: int,
                session: Any = session,
                data: Any = data,
                begun: threading.Event = begun,
                closed: threading.Event = closed,
            ) -> None:
                while True:
                    was_closed = closed.is_set()
                    try:
                        np.testing.assert_array_equal(data[seed], frames()[seed])
                        begun.set()
                        touch_all(session, seed)
                    except nwb.ClosedError:
                        return
                    assert not was_closed

            with ThreadPoolExecutor(4) as executor:
                futures = [executor.submit(work, seed) for seed in range(4)]
                begun.wait(60)
                session.close()
                closed.set()
            for future in futures:
                future.result()

    def test_writing_while_others_read(self, path: Path) -> None:
        with nwb.open(path) as session, ThreadPoolExecutor(3) as executor:
            done = threading.Event()
            data = session[MOVIE].data

            def work(seed: int) -> None:
                while not done.is_set():
                    np.testing.assert_array_equal(data[seed], frames()[seed])

            futures = [executor.submit(work, seed) for seed in range(3)]
            try:
                for number in range(10):
                    session.notes = str(number)
                    nwb.write(session, path, overwrite=True)
            finally:
                done.set()
            for future in futures:
                future.result()

    @pytest.mark.parametrize("what", ["header", "attributes", "links"])
    def test_what_was_read_of_a_replaced_file_is_not_kept(
        self, path: Path, monkeypatch: pytest.MonkeyPatch, what: str
    ) -> None:
        with nwb.open(path) as session:
            node, lock = session[MOVIE]._binding.node, session._binding.session.source.lock
            node.forget()
            reading: list[int] = []
            version = 0

            class Lock:  # as soon as it is let go, another thread replaces the file
                def __enter__(self) -> None:
                    lock.acquire()
                    reading.append(version)

                def __exit__(self, *error: Any) -> None:
                    nonlocal version
                    reading.pop()
                    lock.release()
                    if not reading and not version:
                        version += 1
                        node.forget()

            monkeypatch.setattr(nodes.Node, f"_read_{what}", lambda node: {"version": version})
            monkeypatch.setattr(node.source, "lock", Lock())
            assert getattr(node, what) == {"version": 0}
            assert getattr(node, what) == {"version": 1}

    def test_a_read_as_another_dtype_in_between(self, tmp_path: Path) -> None:
        values = np.arange(12, dtype="i2").reshape(4, 3)
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file["data"] = values
        with h5py.File(tmp_path / "a.h5") as file:
            block = plan(values.shape, slice(1, 3), values.shape).blocks
            other = np.zeros((2, 3), "f4")

            def raw() -> RawFile | None:
                if not other.any():  # what another thread does meanwhile
                    fetch(stored, block, other)
                return RawFile.of(file.id)

            stored = Stored(file["data"].id, raw)
            found = np.zeros((2, 3), "i2")
            assert stored.read(block, found)
            np.testing.assert_array_equal(found, values[1:3])
            np.testing.assert_array_equal(other, values[1:3])

    def test_two_sessions_of_one_file(self, path: Path) -> None:
        with nwb.open(path) as one, nwb.open(path) as two:
            assert one[MOVIE] is not two[MOVIE]
            one.close()
            np.testing.assert_array_equal(two[MOVIE].data, frames())
