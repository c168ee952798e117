"""What a prompt completes: names in brackets and after dots, without reading an array."""

from pathlib import Path

import pytest
from small import small_file, small_session

import nwb_ophys as nwb


@pytest.fixture
def session(tmp_path: Path) -> nwb.NWBFile:
    return nwb.open(small_file(tmp_path / "small.nwb"))


def test_keys_are_completed(session: nwb.NWBFile) -> None:
    assert session.processing._ipython_key_completions_() == ["ophys"]
    assert session.processing["ophys"]._ipython_key_completions_() == list(
        session.processing["ophys"]
    )
    cells = next(session.find(nwb.PlaneSegmentation))
    assert {"snr", "pixel_mask"} <= set(cells._ipython_key_completions_())
    assert "acquisition" in session._ipython_key_completions_()


def test_what_has_a_field_of_its_own_is_told(tmp_path: Path) -> None:
    made = small_session()
    made.trials = nwb.TimeIntervals(
        name="trials", description="t", start_time=[0.0], stop_time=[1.0]
    )
    with nwb.open(nwb.write(made, tmp_path / "a.nwb")) as session:
        message = r"/intervals: there is no 'trials'.*own: session\['/intervals/trials'\]\)"
        with pytest.raises(nwb.MemberNotFoundError, match=message):
            session.intervals["trials"]
        with pytest.raises(nwb.MemberNotFoundError, match=r"no 'movi'.*did you mean 'movie'"):
            session.acquisition["movi"]


def test_types_without_a_model_are_told() -> None:
    with pytest.raises(AttributeError, match=r"'Units'; nwb_ophys\.get_type\('core', 'Units'\)"):
        nwb.Units  # noqa: B018
    with pytest.raises(AttributeError, match=r"no attribute 'Unit'$"):
        nwb.Unit  # noqa: B018
    assert not {"Any", "TYPE_CHECKING", "annotations"} & set(dir(nwb))


def test_only_classes_are_found(session: nwb.NWBFile) -> None:
    with pytest.raises(TypeError, match=r"found 'PlaneSegmentation': .*get_type\(namespace, name"):
        session.find("PlaneSegmentation")  # type: ignore[arg-type]
