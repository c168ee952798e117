"""The file as a whole, its subject, and its processing modules."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Optional, Self

from pydantic import Field

from nwb_ophys.children import Children
from nwb_ophys.dtypes import conform_scalar
from nwb_ophys.generated.official import (
    HERD,
    ElectrodeGroup,
    ElectrodesTable,
    ExperimentalConditionsTable,
    IntracellularElectrode,
    IntracellularRecordingsTable,
    OptogeneticStimulusSite,
    RepetitionsTable,
    SequentialRecordingsTable,
    SimultaneousRecordingsTable,
    SweepTable,
    Units,
)
from nwb_ophys.layout import layout_of
from nwb_ophys.models.container import NWBContainer, NWBData, NWBDataInterface
from nwb_ophys.models.table import DynamicTable
from nwb_ophys.problems import Problem
from nwb_ophys.storage import Array, Attr, Child, Internal, Members, NDArray

if TYPE_CHECKING:  # they load when a field that names them is touched
    from nwb_ophys.authored import Compression
    from nwb_ophys.mapper.changes import Change
    from nwb_ophys.models.device import Device, DeviceModel
    from nwb_ophys.models.images import Images
    from nwb_ophys.models.imaging import ImagingPlane
    from nwb_ophys.models.intervals import EventsTable, TimeIntervals
    from nwb_ophys.models.series import TimeSeries

__all__ = ["LabMetaData", "NWBFile", "ProcessingModule", "ScratchData", "Subject"]


class _Several(Array):
    """A plain dataset of texts or dates, which also takes a single one for a list of one."""

    def _validator(self, annotation: Any) -> Callable[[Any], Any]:
        check = super()._validator(annotation)
        return lambda value: check([value] if isinstance(value, (str, date)) else value)


def _instead_of(method: str) -> str:
    """Say what is done here instead of calling one of PyNWB's methods that add objects."""
    verb, _, what = method.partition("_")
    if verb not in ("add", "create") or not what:
        return ""
    fields = layout_of(NWBFile).fields
    for name in (what, f"{what}s", "processing" if what == "processing_module" else ""):
        if name in fields and isinstance(fields[name].marker, Members):
            return f"use session.{name}.add(...)"
    if what in ("trial", "epoch", "unit", "electrode", "invalid_time_interval"):
        name = "invalid_times" if what.startswith("invalid") else f"{what}s"
        return f"use session.{name}, a table, and its add_row(...)"
    return ""


def _reference(start: Any) -> Any:
    """Give the time that times count from, where it is not given; a wrong start has one error."""
    try:
        conform_scalar("isodatetime", start)
    except ValueError:
        return datetime.now(UTC)
    return start


class ProcessingModule(NWBContainer, schema="core"):
    """Results of one kind of processing, such as "ophys" or "behavior".

    Parameters
    ----------
    description
        What was processed, and how.
    children
        The results: interfaces and tables.
    """

    description: Annotated[str, Attr()]
    children: Annotated[Children[NWBDataInterface | DynamicTable], Members()] = Field(
        default_factory=Children
    )


class LabMetaData(NWBContainer, schema="core"):
    """Metadata of a lab; extensions derive their own types from it."""


class ScratchData(NWBData, schema="core"):
    """Data put aside, without a promise that they follow any standard.

    Parameters
    ----------
    array
        The data, of any dtype and shape.
    notes
        What they are.
    """

    notes: Annotated[str, Attr()]


class Subject(NWBContainer, schema="core"):
    """The animal or person that was recorded.

    Parameters
    ----------
    age
        An ISO 8601 duration such as "P90D", or a range of them, "P10D/P20D".
    age_reference
        Since when the age counts: "birth" or "gestational".
    date_of_birth
        When it was born, with an offset from UTC.
    description
        What there is to say about it.
    genotype
        Its genotype; wild type where nothing is said.
    sex
        "F", "M", "U" (unknown) or "O" (other).
    species
        In Latin, "Mus musculus".
    strain
        Its strain.
    subject_id
        What the lab calls it.
    weight
        Its weight with the unit, "0.025 kg".
    """

    name: Annotated[str, Internal()] = "subject"
    age: Annotated[str | None, Array()] = None
    age_reference: Annotated[str | None, Attr(name="reference", of="age")] = "birth"
    date_of_birth: Annotated[datetime | None, Array("isodatetime")] = None
    description: Annotated[str | None, Array()] = None
    genotype: Annotated[str | None, Array()] = None
    sex: Annotated[str | None, Array()] = None
    species: Annotated[str | None, Array()] = None
    strain: Annotated[str | None, Array()] = None
    subject_id: Annotated[str | None, Array()] = None
    weight: Annotated[str | None, Array()] = None


class NWBFile(NWBContainer, schema="core"):
    """A session: all that was recorded, and all that is known about it.

    Parameters
    ----------
    nwb_version
        The version of the schema that the file follows; 2.11.0 where it is authored.
    file_create_date
        When the file was made, then when it was changed; now, where it is not given.
    identifier
        A text that no other file has.
    session_description
        What the session was.
    session_start_time
        When it began, with an offset from UTC.
    timestamps_reference_time
        What all times in the file count from; ``session_start_time`` where it is not given.
    acquisition
        What was recorded.
    analysis
        Results of the lab's own analyses.
    scratch
        Data put aside.
    processing
        Results of processing, by module.
    stimulus, stimulus_template
        What was presented, and what it was made from.
    experimenter
        Who performed the experiment, "Last, First"; a single name is taken too.
    experiment_description
        What the experiment was.
    institution, lab
        Where it was performed.
    keywords
        Words to find the session by.
    notes, pharmacology, protocol, slices, surgery, virus, data_collection, stimulus_notes
        What there is to say about each.
    related_publications
        DOIs, PubMed identifiers or addresses.
    session_id
        What the lab calls the session.
    source_script, source_script_file_name
        The script that made the file, and the name of its file.
    was_generated_by
        (software, 2), names and versions of what made the data.
    subject
        Who was recorded.
    lab_meta_data
        Metadata of the lab, of types from extensions.
    external_resources
        References to entities in outside databases (HERD).
    devices, device_models
        What was recorded with.
    imaging_planes
        What was imaged.
    electrodes, electrode_groups
        Extracellular electrodes, and what they sit on.
    icephys_filtering, icephys_electrodes
        Intracellular electrodes; ``icephys_filtering`` is deprecated by the schema.
    sweep_table
        Sweeps of intracellular recordings; deprecated by the schema.
    intracellular_recordings, icephys_simultaneous_recordings, icephys_sequential_recordings
        Intracellular recordings, and how they belong together.
    icephys_repetitions, icephys_experimental_conditions
        Which of those repeat one another, and under which conditions.
    ogen_sites
        Where light stimulated.
    intervals
        Tables of intervals, other than the next three.
    epochs, trials, invalid_times
        Phases of the session, its trials, and the times not to be used.
    events
        Tables of events.
    units
        Sorted units with their spike times.
    children
        What lies in the root of the file undeclared.
    """

    completed: ClassVar[tuple[str, ...]] = ("file_create_date", "timestamps_reference_time")

    name: Annotated[Literal["root"], Internal()] = "root"
    nwb_version: Annotated[str, Attr()] = "2.11.0"
    file_create_date: Annotated[list[datetime], _Several("isodatetime", ("num_modifications",))]
    identifier: Annotated[str, Array()]
    session_description: Annotated[str, Array()]
    session_start_time: Annotated[datetime, Array("isodatetime")]
    timestamps_reference_time: Annotated[datetime, Array("isodatetime")]

    acquisition: Annotated[
        Children[NWBDataInterface | DynamicTable], Members("acquisition", always=True)
    ] = Field(default_factory=Children)
    analysis: Annotated[Children[NWBContainer | DynamicTable], Members("analysis", always=True)] = (
        Field(default_factory=Children)
    )
    scratch: Annotated[Children[NWBContainer | DynamicTable | ScratchData], Members("scratch")] = (
        Field(default_factory=Children)
    )
    processing: Annotated[Children[ProcessingModule], Members("processing", always=True)] = Field(
        default_factory=Children
    )
    stimulus: Annotated[
        Children[NWBDataInterface | DynamicTable], Members("stimulus/presentation", always=True)
    ] = Field(default_factory=Children)
    stimulus_template: Annotated[
        Children["TimeSeries | Images"], Members("stimulus/templates", always=True)
    ] = Field(default_factory=Children)

    experimenter: Annotated[
        list[str] | None, _Several("text", ("num_experimenters",), path="general/experimenter")
    ] = None
    experiment_description: Annotated[str | None, Array(path="general/experiment_description")] = (
        None
    )
    institution: Annotated[str | None, Array(path="general/institution")] = None
    lab: Annotated[str | None, Array(path="general/lab")] = None
    keywords: Annotated[
        list[str] | None, _Several("text", ("num_keywords",), path="general/keywords")
    ] = None
    notes: Annotated[str | None, Array(path="general/notes")] = None
    pharmacology: Annotated[str | None, Array(path="general/pharmacology")] = None
    protocol: Annotated[str | None, Array(path="general/protocol")] = None
    related_publications: Annotated[
        list[str] | None,
        _Several("text", ("num_publications",), path="general/related_publications"),
    ] = None
    session_id: Annotated[str | None, Array(path="general/session_id")] = None
    slices: Annotated[str | None, Array(path="general/slices")] = None
    source_script: Annotated[str | None, Array(path="general/source_script")] = None
    source_script_file_name: Annotated[str | None, Attr(name="file_name", of="source_script")] = (
        None
    )
    was_generated_by: Annotated[
        NDArray | None, Array("text", ("num_sources", 2), path="general/was_generated_by")
    ] = None
    data_collection: Annotated[str | None, Array(path="general/data_collection")] = None
    surgery: Annotated[str | None, Array(path="general/surgery")] = None
    virus: Annotated[str | None, Array(path="general/virus")] = None
    stimulus_notes: Annotated[str | None, Array(path="general/stimulus")] = None

    subject: Annotated[Subject | None, Child("general/subject")] = None
    lab_meta_data: Annotated[Children[LabMetaData], Members("general", only=True, always=True)] = (
        Field(default_factory=Children)
    )
    external_resources: Annotated[HERD | None, Child("general/external_resources")] = None
    devices: Annotated[Children["Device"], Members("general/devices")] = Field(
        default_factory=Children
    )
    device_models: Annotated[Children["DeviceModel"], Members("general/devices/models")] = Field(
        default_factory=Children
    )
    imaging_planes: Annotated[Children["ImagingPlane"], Members("general/optophysiology")] = Field(
        default_factory=Children
    )
    electrodes: Annotated[
        ElectrodesTable | None, Child("general/extracellular_ephys/electrodes")
    ] = None
    electrode_groups: Annotated[
        Children[ElectrodeGroup], Members("general/extracellular_ephys")
    ] = Field(default_factory=Children)
    icephys_filtering: Annotated[
        str | None, Array(path="general/intracellular_ephys/filtering")
    ] = None
    icephys_electrodes: Annotated[
        Children[IntracellularElectrode], Members("general/intracellular_ephys")
    ] = Field(default_factory=Children)
    sweep_table: Annotated[SweepTable | None, Child("general/intracellular_ephys/sweep_table")] = (
        None
    )
    intracellular_recordings: Annotated[
        IntracellularRecordingsTable | None,
        Child("general/intracellular_ephys/intracellular_recordings"),
    ] = None
    icephys_simultaneous_recordings: Annotated[
        SimultaneousRecordingsTable | None,
        Child("general/intracellular_ephys/simultaneous_recordings"),
    ] = None
    icephys_sequential_recordings: Annotated[
        SequentialRecordingsTable | None, Child("general/intracellular_ephys/sequential_recordings")
    ] = None
    icephys_repetitions: Annotated[
        RepetitionsTable | None, Child("general/intracellular_ephys/repetitions")
    ] = None
    icephys_experimental_conditions: Annotated[
        ExperimentalConditionsTable | None,
        Child("general/intracellular_ephys/experimental_conditions"),
    ] = None
    ogen_sites: Annotated[Children[OptogeneticStimulusSite], Members("general/optogenetics")] = (
        Field(default_factory=Children)
    )

    intervals: Annotated[Children["TimeIntervals"], Members("intervals")] = Field(
        default_factory=Children
    )
    epochs: Annotated[Optional["TimeIntervals"], Child("intervals/epochs")] = None
    trials: Annotated[Optional["TimeIntervals"], Child("intervals/trials")] = None
    invalid_times: Annotated[Optional["TimeIntervals"], Child("intervals/invalid_times")] = None
    events: Annotated[Children["EventsTable"], Members("events")] = Field(default_factory=Children)
    units: Annotated[Units | None, Child()] = None

    def __init__(self, /, **data: Any) -> None:
        if data.get("timestamps_reference_time") is None:
            data["timestamps_reference_time"] = _reference(data.get("session_start_time"))
        if data.get("file_create_date") is None:
            data["file_create_date"] = [datetime.now(UTC)]
        super().__init__(**data)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError as error:
            hint = _instead_of(name)
            if not hint:
                raise
            raise AttributeError(f"{error}; {hint}", name=name, obj=self) from None

    # -- the session ---------------------------------------------------------------------------

    @property
    def problems(self) -> list[Problem]:
        """What was met so far that departs from the schema; nothing for an authored session."""
        session = self._binding.session if self._binding is not None else None
        return [] if session is None else sorted(session.problems.values(), key=str)

    def close(self) -> None:
        """Close the file of the session; what was not read by now can be read no more."""
        if self._binding is not None:
            self._binding.session.close()

    def save(self, *, compression: "Compression" = "gzip", progress: bool = False) -> None:
        """Write what changed into the file that the session was opened from, with mode ``"r+"``.

        The cost is that of the change, not of the file. The file is as before or as after whenever
        the program is killed: what is overwritten goes into a journal first. The session goes on,
        with the same objects.

        Parameters
        ----------
        compression
            Of new arrays, as `nwb_ophys.write` takes it.
        progress
            Whether long writes show a bar.

        Raises
        ------
        SchemaError, LinkError
            Where what was changed does not conform; nothing is written.
        FileAccessError
            Where the file cannot be written to, or somebody else has it open; it is as it was.
        """
        from nwb_ophys.writing import save

        save(self, compression=compression, progress=progress)

    def changes(self) -> "list[Change]":
        """List what `save` would write, as far as it is known before.

        Each change has a ``kind``, a ``path`` and a ``detail``, and reads as a sentence.

        Raises
        ------
        SchemaError, LinkError
            Where what was changed does not conform, as `save` would raise.
        """
        from nwb_ophys.mapper.changes import list_changes

        return list_changes(self)

    def discard(self) -> None:
        """Take back what was changed since the session was opened or saved last."""
        if self._binding is not None:
            from nwb_ophys.mapper.changes import discard

            discard(self._binding.session)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: Any, *_: object) -> None:
        try:
            if kind is None:
                self._warn_of_changes()
        finally:
            self.close()

    def _warn_of_changes(self) -> None:
        session = None if self._binding is None else self._binding.session
        if session is None or session.source.mode != "r+":
            return
        from nwb_ophys.mapper.modified import is_modified

        if is_modified(session):
            from nwb_ophys.errors import UnsavedChangesWarning, warn

            warn(
                f"{session.file}: the session was changed, and is closed without session.save(); "
                "the file stays as it is",
                UnsavedChangesWarning,
            )
