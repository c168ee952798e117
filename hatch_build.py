"""Build hook: packs the official NWB schemas and the stubs of the models into the package.

The schemas come from the `pynwb` and `hdmf` releases that `pyproject.toml` pins as build
requirements. What is packed (`nwb_ophys/_schema`) is never committed:

- `index.json`: the types of each namespace, and what it was made from;
- `texts.json`: the specifications, each text byte for byte as PyNWB caches it in a file;
- `LICENSES.txt`: the licences of the schemas.

The stubs tell type checkers and editors what the constructors of the models take. They follow from
the declarations of the models, and are in wheels only, so that a checkout is checked as it is.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SCHEMAS = {"core": "2.11.0", "hdmf-common": "1.10.0", "hdmf-experimental": "0.6.0"}
FOLDER = Path("nwb_ophys", "_schema")


class PackageBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Packs schemas and stubs before a wheel, or an editable install, is built."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the files; `artifacts` in `pyproject.toml` puts them into the wheel."""
        root = Path(self.root)
        pack(root, root / FOLDER)
        if version != "editable":
            self.stubs = tempfile.TemporaryDirectory()
            for path, place in write_stubs(root, Path(self.stubs.name)).items():
                build_data["force_include"][str(path)] = place


def write_stubs(root: Path, target: Path) -> dict[Path, str]:
    """Write the stubs of the models.

    Parameters
    ----------
    root
        The checkout, or the unpacked source distribution.
    target
        Folder to write into.

    Returns
    -------
    dict
        The files, and their places in the wheel.
    """
    sys.path.insert(0, str(root))
    try:
        from nwb_ophys.stubs import model_stubs

        placed = {}
        for name, text in model_stubs():
            path = target / f"{name}.pyi"
            path.write_text(text, encoding="utf-8", newline="\n")
            placed[path] = f"nwb_ophys/models/{name}.pyi"
        return placed
    finally:
        sys.path.remove(str(root))


def pack(root: Path, target: Path) -> None:
    """Pack the schemas of the pinned releases.

    Parameters
    ----------
    root
        The checkout, or the unpacked source distribution.
    target
        Folder to write into.

    Raises
    ------
    RuntimeError
        When the installed releases, or the schemas in them, are not the pinned ones.
    """
    releases = _check_releases(root)
    core = _package_folder("pynwb") / "nwb-schema"
    common = _package_folder("hdmf") / "common" / "hdmf-common-schema"
    namespaces = {**_core(core / "core"), **_common(common / "common")}

    found = {name: namespace["version"] for name, namespace in namespaces.items()}
    if found != SCHEMAS:
        raise RuntimeError(f"expected the schemas {SCHEMAS}, but {releases} hold {found}")

    index = {"releases": releases, "versions": found, "namespaces": _index(root, namespaces)}
    target.mkdir(parents=True, exist_ok=True)
    _write(target / "index.json", json.dumps(index, separators=(",", ":")))
    _write(target / "texts.json", json.dumps(namespaces, separators=(",", ":")))
    _write(target / "LICENSES.txt", _licences(core, common))


def _check_releases(root: Path) -> dict[str, str]:
    """Return the pinned releases, after a look whether they are the installed ones."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    pins = dict(
        requirement.split("==")
        for requirement in project["build-system"]["requires"]
        if "==" in requirement
    )
    for name, pinned in pins.items():
        try:
            installed = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            installed = "none"
        if installed != pinned:
            raise RuntimeError(
                f"the NWB schemas are packed from {name} {pinned}, but found {installed} installed;"
                " build with isolation, or install the build requirements of pyproject.toml first"
            )
    return pins


def _package_folder(name: str) -> Path:
    # Found without importing it: importing PyNWB takes a second and writes a cache.
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise RuntimeError(f"{name} is installed, but its package folder is not to be found")
    return Path(spec.origin).parent


def _core(folder: Path) -> dict[str, Any]:
    """Read the core namespace: each type as it is written, normalised by HDMF."""
    from hdmf.spec import DatasetSpec, GroupSpec

    packed = {}
    for namespace in _yaml(folder / "nwb.namespace.yaml")["namespaces"]:
        sources = {}
        for source in _sources(namespace):
            document = _prefixed("neurodata_type_", "data_type_", _yaml(folder / source))
            datasets = [DatasetSpec.build_spec(spec) for spec in document.get("datasets", [])]
            groups = [GroupSpec.build_spec(spec) for spec in document.get("groups", [])]
            sources[source] = _prefixed(
                "data_type_", "neurodata_type_", {"datasets": datasets, "groups": groups}
            )
        packed[namespace["name"]] = _packed(namespace, sources)
    return packed


def _common(folder: Path) -> dict[str, Any]:
    """Read HDMF's namespaces: PyNWB caches them from a merged catalog, with bases resolved."""
    from hdmf.spec import NamespaceCatalog

    path = folder / "namespace.yaml"
    catalog, merged = NamespaceCatalog(), NamespaceCatalog()
    catalog.load_namespaces(str(path))
    merged.merge(catalog)
    return {
        namespace["name"]: _packed(
            namespace,
            {source: merged.get_spec_source_dict(source) for source in _sources(namespace)},
        )
        for namespace in _yaml(path)["namespaces"]
    }


def _packed(namespace: dict[str, Any], sources: dict[str, Any]) -> dict[str, Any]:
    """Return one namespace as texts."""
    schema = [
        {"namespace": item["namespace"]}
        if "namespace" in item
        else {"source": Path(item["source"]).stem}
        for item in namespace["schema"]
    ]
    fields = ("name", "full_name", "version", "author", "contact")
    described = {"doc": namespace["doc"], "schema": schema} | {
        field: namespace[field] for field in fields
    }
    return {
        "version": namespace["version"],
        "namespace": _text({"namespaces": [described]}),
        "sources": {
            Path(source).stem: _text(
                {kind: document[kind] for kind in ("datasets", "groups") if document[kind]}
            )
            for source, document in sources.items()
        },
    }


def _index(root: Path, namespaces: dict[str, Any]) -> dict[str, Any]:
    """Index the types with the package's own code, loaded without importing the package."""
    path = root / "nwb_ophys" / "spec_index.py"
    spec = importlib.util.spec_from_file_location("spec_index", path)
    if spec is None or spec.loader is None:
        raise RuntimeError(f"{path} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    indexes = {}
    for name, packed in namespaces.items():
        indexes[name], problems = module.index_namespace(
            name, packed["namespace"], packed["sources"]
        )
        if problems:
            raise RuntimeError("; ".join(problems))
    return indexes


def _licences(*folders: Path) -> str:
    texts = [
        (folder / name).read_text(encoding="utf-8").strip()
        for folder in folders
        for name in ("license.txt", "Legal.txt")
    ]
    return "\n\n----\n\n".join(texts) + "\n"


def _prefixed(old: str, new: str, value: Any) -> Any:
    """Rename the keys that begin with `old`: HDMF's own classes know `data_type_*` only."""
    if isinstance(value, dict):
        return {
            new + key.removeprefix(old) if key.startswith(old) else key: _prefixed(old, new, item)
            for key, item in value.items()
        }
    return [_prefixed(old, new, item) for item in value] if isinstance(value, list) else value


def _sources(namespace: dict[str, Any]) -> list[str]:
    return [item["source"] for item in namespace["schema"] if "source" in item]


def _yaml(path: Path) -> Any:
    from ruamel.yaml import YAML

    return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))


def _text(document: dict[str, Any]) -> str:
    return json.dumps(document, separators=(",", ":"))


def _write(path: Path, text: str) -> None:
    # Replaced in one step, so that a running program never reads half a file.
    fresh = path.with_name(path.name + ".tmp")
    fresh.write_text(text, encoding="utf-8", newline="\n")
    fresh.replace(path)
