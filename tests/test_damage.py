"""Data that cannot be read, and damage at random: errors that help, and no others."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from h5py import h5d, h5p, h5s, h5t, h5z
from scripts import run
from small import MOVIE, PLANE, edited, frames

import nwb_ophys as nwb


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
        signal.setitimer(signal.ITIMER_PROF, 30)  # of work, however busy others are
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
