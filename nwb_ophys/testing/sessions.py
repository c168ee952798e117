"""Synthetic sessions: what a two-photon experiment leaves behind, around a known `Truth`."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np

from nwb_ophys import models
from nwb_ophys.children import Children
from nwb_ophys.models import (
    ImagingPlane,
    NWBFile,
    PlaneSegmentation,
    TwoPhotonSeries,
)
from nwb_ophys.testing.truth import Truth

__all__ = ["MASK_KINDS", "make_session", "record", "stamp", "start_session"]

nwb: Any = models
"""The models, whose constructors take more than their fields: stubs tell, checkers here cannot."""

MASK_KINDS: Final = ("pixel", "image")
"""How masks may be stored: as weighted pixels, and as one image for each ROI."""

_BEGAN: Final = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
_IN_MEMORY: Final = 1 << 23
_FAMILY: Final = uuid.UUID("7e0d4b1c-5f39-4ba4-9a0f-3c1d0e7f6a52")
_MICRON: Final = 1e-6


def start_session(name: str, description: str) -> NWBFile:
    """Begin a session with all the metadata that an archive asks for, and no data.

    Parameters
    ----------
    name
        Its ``session_id``; the ``identifier`` follows from it.
    description
        What was done.
    """
    session: NWBFile = nwb.NWBFile(
        identifier=f"nwb-ophys-testing-{name}",
        session_description=description,
        session_start_time=_BEGAN,
        file_create_date=[_BEGAN],
        session_id=name,
        experimenter=["Doe, Jane"],
        experiment_description="Made up, to test software with.",
        institution="Institute of Examples",
        lab="Lab of Known Answers",
        keywords=["synthetic", "calcium imaging"],
        subject=nwb.Subject(
            subject_id="example-mouse-1",
            description="A mouse that never lived.",
            species="Mus musculus",
            strain="C57BL/6J",
            genotype="Wild type",
            sex="F",
            age="P90D",
            weight="0.025 kg",
        ),
    )
    return session


def stamp(session: NWBFile, *origin: Any) -> NWBFile:
    """Give each object the identity that follows from an origin, so that files are reproducible.

    Parameters
    ----------
    session
        An authored session.
    origin
        What the session was made from, such as its kind and seed.
    """
    identified = [model for model in session.walk() if hasattr(model, "object_id")]
    for number, model in enumerate(identified):
        setattr(model, "object_id", str(uuid.uuid5(_FAMILY, f"{origin} {number}")))  # noqa: B010
    return session


def make_session(
    *,
    frames: int = 300,
    width: int = 48,
    height: int = 32,
    rois: int = 12,
    rate: float = 30.0,
    seed: int = 0,
    behavior: bool = True,
    segmentation: bool = True,
    motion: bool = True,
    masks: Collection[str] = MASK_KINDS,
) -> NWBFile:
    """Make a synthetic two-photon session of any size.

    Arrays of more than 8 MiB are computed while they are written, block by block, so the size of
    a session is limited by the disk alone. Equal parameters give equal sessions, and
    ``Truth(frames=..., ...)`` of the same parameters knows the answers.

    Parameters
    ----------
    frames, width, height, rois, rate, seed
        Those of the `Truth`.
    behavior
        Whether the animal runs about and does trials.
    segmentation
        Whether there are masks and traces.
    motion
        Whether there is a motion-corrected copy of the movie.
    masks
        How masks are stored: "pixel", "image", or both.

    Returns
    -------
    NWBFile
        The session, to be written with `nwb_ophys.write`.
    """
    truth = Truth(frames=frames, width=width, height=height, rois=rois, rate=rate, seed=seed)
    return record(truth, behavior=behavior, segmentation=segmentation, motion=motion, masks=masks)


def record(
    truth: Truth,
    *,
    movie: bool = True,
    behavior: bool = True,
    segmentation: bool = True,
    motion: bool = True,
    masks: Collection[str] = MASK_KINDS,
) -> NWBFile:
    """Make the session that would have been recorded, were a `Truth` true.

    Parameters
    ----------
    truth
        What is true of it.
    movie
        Whether the raw movie is kept.
    behavior, segmentation, motion, masks
        As in `make_session`.
    """
    wrong = set(masks) - set(MASK_KINDS)
    if wrong or (segmentation and not masks):
        raise ValueError(f"expected masks of {' and '.join(MASK_KINDS)}, found {masks!r}")
    session = start_session(
        f"two-photon-{truth.seed}", "Calcium imaging while a mouse runs about and does trials."
    )
    plane = add_plane(session, truth)
    if movie:
        raw = _movie(truth, plane)
        session.acquisition.add(raw)
        if motion:
            _add_motion(session, truth, raw)
    if segmentation:
        _add_segmentation(session, truth, plane, masks)
    if behavior:
        add_behavior(session, truth)
        _add_trials(session, truth)
    return stamp(session, truth, movie, behavior, segmentation, motion, sorted(masks))


def data_of(truth: Truth, name: str) -> Any:
    """Give one of the arrays of a truth: in memory, or where it is large computed on the way."""
    array = truth.array(name)
    return np.asarray(array) if array.nbytes <= _IN_MEMORY else array


def module(session: NWBFile, name: str, description: str) -> Children[Any]:
    """Give the children of a processing module, which is made where it is not there yet."""
    if name not in session.processing:
        session.processing.add(nwb.ProcessingModule(name=name, description=description))
    return session.processing[name].children


def ophys(session: NWBFile) -> Children[Any]:
    """Give the children of the module of optical physiology."""
    return module(session, "ophys", "What was made of the movie.")


def add_plane(session: NWBFile, truth: Truth) -> ImagingPlane:
    """Add a microscope, and the plane that it looked at."""
    model = session.device_models.add(
        nwb.DeviceModel(
            name="Scope 2P", manufacturer="Example Optics", description="A two-photon microscope."
        )
    )
    scope = session.devices.add(
        nwb.Device(
            name="Microscope",
            description="The two-photon microscope of the example lab.",
            serial_number="2P-0042",
            model=model,
        )
    )
    return session.imaging_planes.add(
        nwb.ImagingPlane(
            name="ImagingPlane",
            description="Layer 2/3 of the left visual cortex.",
            device=scope,
            excitation_lambda=920.0,
            indicator="GCaMP6f",
            location="Primary visual area",
            imaging_rate=truth.rate,
            grid_spacing=[2.0 * _MICRON, 1.5 * _MICRON],
            origin_coords=[1.2e-3, 2.1e-3, 0.2e-3],
            reference_frame="Bregma; x to the right, y to the front, z down.",
            children=[
                nwb.OpticalChannel(
                    name="green", description="The light of GCaMP.", emission_lambda=513.0
                )
            ],
        )
    )


def _movie(truth: Truth, plane: ImagingPlane) -> Any:
    return nwb.TwoPhotonSeries(
        name="TwoPhotonSeries",
        description="Photons counted in each pixel.",
        data=data_of(truth, "movie"),
        unit="n.a.",
        rate=truth.rate,
        imaging_plane=plane,
        scan_line_rate=truth.rate * truth.height,
        field_of_view=[truth.width * 2.0 * _MICRON, truth.height * 1.5 * _MICRON],
    )


def _add_motion(session: NWBFile, truth: Truth, raw: TwoPhotonSeries) -> None:
    stack = nwb.CorrectedImageStack(
        name="CorrectedImageStack",
        original=raw,
        corrected=nwb.ImageSeries(
            name="corrected",
            description="The movie with each frame moved back into place.",
            data=data_of(truth, "corrected"),
            unit="n.a.",
            rate=truth.rate,
        ),
        xy_translation=nwb.TimeSeries(
            name="xy_translation",
            description="By how much each frame was moved, along x and y.",
            data=data_of(truth, "translation"),
            unit="pixels",
            rate=truth.rate,
        ),
    )
    ophys(session).add(nwb.MotionCorrection(children=[stack]))


def _add_segmentation(
    session: NWBFile, truth: Truth, plane: ImagingPlane, masks: Collection[str]
) -> None:
    table = nwb.PlaneSegmentation(
        name="PlaneSegmentation", description="The cells.", imaging_plane=plane
    )
    if "pixel" in masks:
        table.add_column("pixel_mask", truth.pixel_masks, "Pixels and weights.", index=True)
    if "image" in masks:
        table.add_column("image_mask", data_of(truth, "image_masks"), "Weights as images.")
    table.add_column("center", truth.centers.astype(np.int32), "The central pixel, as x and y.")
    ophys(session).add(nwb.ImageSegmentation(children=[table]))
    ophys(session).add(
        nwb.Fluorescence(
            children=[
                _traces(
                    truth, table, "RoiResponseSeries", "fluorescence", "Photons in the center."
                ),
                _traces(truth, table, "Neuropil", "neuropil", "Photons of the surroundings."),
                _traces(truth, table, "Deconvolved", "deconvolved", "Amplitudes of transients."),
            ]
        )
    )
    ophys(session).add(
        nwb.DfOverF(
            children=[_traces(truth, table, "DfOverF", "dff", "Relative change of fluorescence.")]
        )
    )
    ophys(session).add(
        nwb.Images(
            name="SummaryImages",
            description="What the plane looks like.",
            children=[
                nwb.GrayscaleImage(
                    name="reference", array=truth.reference(), description="The plane at rest."
                )
            ],
        )
    )


def _traces(truth: Truth, table: PlaneSegmentation, name: str, what: str, description: str) -> Any:
    return nwb.RoiResponseSeries(
        name=name,
        description=description,
        data=data_of(truth, what),
        unit="n.a.",
        rate=truth.rate,
        rois=table.create_region(description="All cells."),
    )


def add_behavior(session: NWBFile, truth: Truth) -> None:
    """Add where the animal was, and how fast it ran."""
    children = module(session, "behavior", "What the animal did.")
    times = data_of(truth, "times")
    children.add(
        nwb.Position(
            children=[
                nwb.SpatialSeries(
                    name="position",
                    description="The animal from above.",
                    data=data_of(truth, "position"),
                    unit="meters",
                    timestamps=times,
                    reference_frame="The lower left corner of the arena; x to the right, y up.",
                )
            ]
        )
    )
    children.add(
        nwb.BehavioralTimeSeries(
            children=[
                nwb.TimeSeries(
                    name="running_speed",
                    description="How fast the animal runs.",
                    data=data_of(truth, "speed"),
                    unit="m/s",
                    timestamps=times,
                )
            ]
        )
    )


def _add_trials(session: NWBFile, truth: Truth) -> None:
    columns = truth.trials
    session.trials = nwb.TimeIntervals(
        name="trials",
        description="A grating is shown, and the animal answers.",
        start_time=columns["start_time"],
        stop_time=columns["stop_time"],
    )
    session.trials.add_column("orientation", columns["orientation"], "Of the grating, in degrees.")
    session.trials.add_column("correct", columns["correct"], "Whether the answer was right.")
