"""Official types without a hand-written model, by name, for annotations of models that hold them.

Each is built when a field that is annotated with it is first used.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from nwb_ophys.annotations import Later

if TYPE_CHECKING:  # type checkers know them by the nearest base that has a model
    from nwb_ophys.models.aligned import AlignedDynamicTable
    from nwb_ophys.models.container import Container, NWBContainer
    from nwb_ophys.models.table import DynamicTable

    ElectrodeGroup: TypeAlias = NWBContainer
    ElectrodesTable: TypeAlias = DynamicTable
    ExperimentalConditionsTable: TypeAlias = DynamicTable
    HERD: TypeAlias = Container
    IntracellularElectrode: TypeAlias = NWBContainer
    IntracellularRecordingsTable: TypeAlias = AlignedDynamicTable
    OptogeneticStimulusSite: TypeAlias = NWBContainer
    RepetitionsTable: TypeAlias = DynamicTable
    SequentialRecordingsTable: TypeAlias = DynamicTable
    SimultaneousRecordingsTable: TypeAlias = DynamicTable
    SweepTable: TypeAlias = DynamicTable
    Units: TypeAlias = DynamicTable


def _found(name: str) -> tuple[type[Any], ...]:
    from nwb_ophys.registry import get_type

    return (get_type("hdmf-common" if name == "HERD" else "core", name),)


def __getattr__(name: str) -> Any:
    if name.startswith("_") or not name[0].isupper():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    made = globals()[name] = Later(partial(_found, name), name)
    return made
