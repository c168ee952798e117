"""Extensions for authoring: read from their YAML, in a folder or in an installed package."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from nwb_ophys.errors import FileMissingError, NWBError, SchemaError
from nwb_ophys.generated.families import family_of
from nwb_ophys.registry import OFFICIAL
from nwb_ophys.specs import Catalog, Namespace, newest

__all__ = ["Extension", "catalog_of", "load_extension", "remember"]

_SUFFIXES = (".namespace.yaml", ".namespace.yml", ".namespace.json")

_LOADED: dict[tuple[str, str], Catalog] = {}
# What files carry is known as long as anything of it is used.
_OPENED: WeakValueDictionary[tuple[str, str], Catalog] = WeakValueDictionary()


class Extension:
    """An extension that was loaded: its types are its attributes, ``extension.PoseEstimation``.

    Parameters
    ----------
    name, version
        Of its namespace.
    catalog
        Its types.
    """

    def __init__(self, name: str, version: str, catalog: Catalog) -> None:
        self.name = name
        self.version = version
        self._catalog = catalog

    @property
    def types(self) -> list[str]:
        """The names of the types that it defines."""
        return sorted(one.name for one in self._catalog.types() if one.namespace == self.name)

    def __getattr__(self, name: str) -> type[Any]:
        if name.startswith("_") or self._catalog.get(self.name, name) is None:
            raise AttributeError(
                f"the extension {self.name} {self.version} has no type {name!r}; it has "
                f"{', '.join(self.types) if not name.startswith('_') else 'others'}"
            )
        return class_in(self._catalog, self.name, name)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.types]

    def __repr__(self) -> str:
        return f"<Extension {self.name} {self.version}: {', '.join(self.types)}>"


def load_extension(source: str | Path) -> Extension:
    """Read the specification of an extension, to author objects of its types.

    Files carry the specifications of the extensions they use, so none is needed to read them.

    Parameters
    ----------
    source
        The path of its ``.namespace.yaml``, or the name of an installed package, such as
        ``ndx-pose``, which is not imported. Extensions that it includes are looked for beside it,
        among those that were loaded, and among installed packages.

    Returns
    -------
    Extension
        Its types, as attributes; `nwb_ophys.get_type` gives them too.

    Raises
    ------
    FileMissingError
        Where there is no such file or package.
    SchemaError
        Where the specification cannot be understood, or what it includes is missing.
    NWBError
        Where no reader of YAML is installed.
    """
    path = _find(source)
    namespaces: dict[str, Namespace] = {}
    own = _read(path)
    if not own:
        raise SchemaError("expected a list of namespaces, found none", file=path)
    _include(own, path.parent, namespaces, path)
    catalog = Catalog.from_texts(namespaces.values())
    problems = catalog.problems
    if problems:
        raise SchemaError(problems[0], file=path)
    for one in namespaces.values():
        if one in own:
            _LOADED[one.name, one.version] = catalog
        else:  # it came along
            _LOADED.setdefault((one.name, one.version), catalog)
    return Extension(own[0].name, own[0].version, catalog)


def catalog_of(namespace: str, version: str | None) -> Catalog:
    """Find the types of an extension: one that was loaded, is installed, or is in an open file.

    Raises
    ------
    SchemaError
        Where it is not known, or not in that version.
    """
    known = {**_versions(_OPENED, namespace), **_versions(_LOADED, namespace)}
    loaded = _versions(_LOADED, namespace)
    if version is None and loaded:
        return loaded[newest(loaded)]
    if version not in known and not loaded:
        try:
            extension = load_extension(namespace)
        except FileMissingError:
            pass
        else:
            known[extension.version] = extension._catalog
            if version is None:
                return extension._catalog
    if not known:
        raise SchemaError(
            f"the namespace {namespace!r} is not known",
            hint=f'nwb_ophys.load_extension("path/to/{namespace}.namespace.yaml"), or install it',
        )
    chosen = newest(known) if version is None else version
    if chosen not in known:
        raise SchemaError(
            f"the namespace {namespace!r} is not known in version {version}; it is in "
            f"{', '.join(sorted(known))}"
        )
    return known[chosen]


def remember(catalog: Catalog) -> None:
    """Let the types of the extensions that a file carries be found by name."""
    for name, one in catalog.namespaces.items():
        if name not in OFFICIAL:
            _OPENED[name, one.version] = catalog


def class_in(catalog: Catalog, namespace: str, name: str) -> type[Any]:
    """Give the class of a type for authoring.

    Raises
    ------
    SchemaError
        Where there is none, or its specification cannot be followed.
    """
    family = family_of(catalog)
    cls = family.class_of(namespace, name)
    if (namespace, name) in family.broken:
        raise SchemaError(
            f"the specification of {name!r} of namespace {namespace!r} cannot be followed: "
            f"{family.broken[namespace, name]}"
        )
    return cls


def _versions(catalogs: Any, namespace: str) -> dict[str, Catalog]:
    return {version: one for (name, version), one in list(catalogs.items()) if name == namespace}


# -- files and packages ------------------------------------------------------------------------


def _find(source: str | Path) -> Path:
    path = Path(source)
    if path.is_file():
        return path
    if path.is_dir():
        found = sorted(one for one in path.rglob("*") if one.name.endswith(_SUFFIXES))
        if found:
            return found[0]
    name = str(source)
    if "/" not in name and not name.endswith((".yaml", ".yml", ".json")):
        installed = next(_installed(name), None)
        if installed is not None:
            return installed
        raise FileMissingError(
            f"there is no installed package {name!r} with the specification of an extension",
            file=name,
            hint="install it, or give the path of its .namespace.yaml",
        )
    raise FileMissingError("there is no such specification", file=path)


def _installed(name: str) -> Iterator[Path]:
    """Find the specifications in an installed package, without importing it."""
    import importlib.metadata
    import importlib.util

    try:
        spec = importlib.util.find_spec(name.replace("-", "_").replace(".", "_"))
    except (ImportError, ValueError):
        spec = None
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        found = [one for one in Path(folder).rglob("*") if one.name.endswith(_SUFFIXES)]
        yield from sorted(found, key=lambda one: (not one.name.startswith(f"{name}."), one))
    try:
        files = importlib.metadata.files(name) or []
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return
    for one in files:
        if one.name.endswith(_SUFFIXES):
            yield Path(str(one.locate()))


def _read(path: Path) -> list[Namespace]:
    """Read the namespaces of a file, with the sources they name."""
    document = _parsed(path)
    listed = document.get("namespaces") if isinstance(document, dict) else None
    found = []
    for one in listed if isinstance(listed, list) else ():
        if not isinstance(one, dict) or not one.get("name"):
            raise SchemaError("expected a namespace with a name", file=path)
        schema: list[Any] = []
        sources: dict[str, str] = {}
        listed_schema = one.get("schema")
        if not isinstance(listed_schema, list):
            raise SchemaError(
                f"expected the schema of {one['name']!r} as a list of namespaces and sources, "
                f"found {listed_schema!r}",
                file=path,
            )
        for item in listed_schema:
            source = item.get("source") if isinstance(item, dict) else None
            if isinstance(source, str):
                name = source.rsplit(".", 1)[0] if source.endswith((".yaml", ".yml")) else source
                text = json.dumps(_parsed(path.parent / source), default=str)
                sources[name] = text
                item = {**item, "source": name}
            schema.append(item)
        text = json.dumps({"namespaces": [{**one, "schema": schema}]}, default=str)
        found.append(Namespace(str(one["name"]), str(one.get("version", "")), text, sources))
    return found


def _include(
    own: list[Namespace], folder: Path, namespaces: dict[str, Namespace], origin: Path
) -> None:
    """Gather namespaces with those that they include."""
    for one in own:
        namespaces[one.name] = one
    for one in own:
        for name in Catalog.from_texts([one]).includes(one.name):
            if name in namespaces or name in OFFICIAL:
                continue
            beside = [folder / f"{name}{suffix}" for suffix in _SUFFIXES]
            path = next((each for each in beside if each.is_file()), None)
            loaded = _versions(_LOADED, name)
            if path is None and loaded:
                known = loaded[newest(loaded)].namespaces
                namespaces |= {key: each for key, each in known.items() if key not in namespaces}
                continue
            path = path or next(_installed(name), None)
            if path is None:
                raise SchemaError(
                    f"the namespace {one.name!r} includes {name!r}, which is not known",
                    file=origin,
                    hint=f'load it first, nwb_ophys.load_extension("path/to/{name}.namespace.yaml")'
                    ", or install it",
                )
            _include(_read(path), path.parent, namespaces, path)


def _parsed(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise FileMissingError("there is no such specification", file=path) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SchemaError(f"the specification cannot be read: {error}", file=path) from error
    if path.suffix == ".json":
        try:
            return json.loads(text)
        except ValueError as error:
            raise SchemaError(f"the specification is no JSON: {error}", file=path) from error
    try:
        from ruamel.yaml import YAML
        from ruamel.yaml.error import YAMLError
    except ImportError as error:
        raise NWBError(
            "specifications in YAML need ruamel.yaml",
            file=path,
            hint="pip install 'nwb-ophys[extensions]'",
        ) from error
    try:
        return YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        raise SchemaError(f"the specification is no YAML: {error}", file=path) from error
