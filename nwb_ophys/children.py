"""`Children`: the one mapping of named objects, ordered, validating, lazy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from typing import Any, Generic, Protocol, TypeVar

from nwb_ophys.errors import MemberNotFoundError, SchemaError, did_you_mean

__all__ = ["Children", "Named", "target_of"]


class Named(Protocol):
    """What a `Children` holds: an object with a name."""

    name: str


T = TypeVar("T", bound=Any)

_NOT_LOADED: Any = object()


def target_of(item: Any) -> Any:
    """Give the object that a `nwb_ophys.link` leads to, and any other object itself."""
    return item.link_target if type(item).__name__ == "ExternalLink" else item


class Children(MutableMapping[str, T], Generic[T]):
    """An ordered mapping of names to typed objects.

    Built from a mapping or from an iterable of named objects. An object goes under its own name;
    what is of another type, or whose name is taken, is refused at once. In an opened file the
    names are known, and each object loads when it is first asked for.

    Parameters
    ----------
    items
        The objects.
    accepts
        The types an object may have, or what gives some of them; empty for any.
    place
        What the mapping is, for messages: "/processing/ophys, field 'children'".

    Raises
    ------
    SchemaError
        Where an object is of another type, has another name than its key, or its name is taken.
    """

    __slots__ = ("_added", "_items", "_kinds", "_load", "_place", "_removed")

    def __init__(
        self,
        items: Mapping[str, T] | Iterable[T] = (),
        *,
        accepts: tuple[Any, ...] = (),
        place: str = "",
    ) -> None:
        self._items: dict[str, T] = {}
        self._kinds = accepts
        self._place = place
        self._load: Callable[[str], T] | None = None
        # Most mappings are never changed, and a file may have thousands.
        self._removed: set[str] | None = None
        self._added: set[str] | None = None
        if isinstance(items, Mapping):
            for name, item in items.items():
                self._insert(name, item)
        elif isinstance(getattr(items, "name", None), str):  # its members would be taken instead
            raise SchemaError(
                f"expected objects by name or a list of objects, found a single one, {items!r}",
                path=place or None,
                hint="put it into a list, or use `add`",
            )
        else:
            for item in items:
                self.add(item)

    @classmethod
    def lazy(
        cls,
        names: Iterable[str],
        load: Callable[[str], T],
        *,
        accepts: tuple[Any, ...] = (),
        place: str = "",
    ) -> Children[T]:
        """Make a mapping over stored objects that `load` brings in by name."""
        self: Children[T] = cls(accepts=accepts, place=place)
        self._items = dict.fromkeys(names, _NOT_LOADED)
        self._load = load
        return self

    def copied(self, accepts: tuple[Any, ...]) -> Children[T]:
        """Make another mapping of the same objects and links; those that are stored are loaded."""
        twin: Children[T] = Children(accepts=accepts)
        for name in self:
            self[name]  # loads
            twin._insert(name, self.raw(name))
        return twin

    @property
    def _accepts(self) -> tuple[type, ...]:
        """The types an object may have; those that are built at run time are built now."""
        kinds = self._kinds
        if not all(isinstance(kind, type) for kind in kinds):
            kinds = tuple(
                one for kind in kinds for one in ((kind,) if isinstance(kind, type) else kind())
            )
            self._kinds = kinds
        return kinds

    def add(self, *items: T) -> T:
        """Add objects under their own names; the last one is returned.

        Raises
        ------
        SchemaError
            Where an object is of another type, has no name, or its name is taken.
        """
        for item in items:
            self._insert(getattr(item, "name", None), item)
        return items[-1]

    def loaded(self) -> Iterator[tuple[str, T]]:
        """Iterate over the objects that were asked for or added, without loading any."""
        return (
            (name, target_of(item)) for name, item in self._items.items() if item is not _NOT_LOADED
        )

    @property
    def is_new(self) -> bool:
        """Whether nothing was ever in the mapping, as in those that constructors make."""
        return not self._items and self._load is None and self._added is None

    @property
    def removed(self) -> frozenset[str]:
        """The names of stored objects that were deleted from the mapping."""
        return frozenset(self._removed or ())

    @property
    def added(self) -> frozenset[str]:
        """The names of objects that were added since the mapping was read."""
        return frozenset(self._added or ())

    def raw(self, name: str) -> T:
        """Give what was added under a name: the object, or the link that leads to it."""
        return self._items[name]

    def holds(self, item: T) -> bool:
        """Tell whether an object is in the mapping itself, and not by a link."""
        return any(one is item for one in self._items.values())

    def check_free(self, name: str) -> None:
        """Refuse a name that another object has, or that is none.

        Raises
        ------
        SchemaError
            Saying which.
        """
        _check_name(name, self._place)
        if name in self._items:
            raise SchemaError(
                f"two objects with one name: {name!r} is there already",
                path=self._place,
                hint="choose another name",
            )

    def rename(self, item: T, name: str) -> None:
        """Give an object of the mapping another name, in its place."""
        old = next(key for key, one in self._items.items() if one is item)
        self._items = {name if key == old else key: one for key, one in self._items.items()}
        added, removed = set(self._added or ()), set(self._removed or ())
        if old in added:
            added.remove(old)
        elif self._load is not None:
            removed.add(old)
        self._added, self._removed = added | {name}, removed
        item.__dict__["name"] = name

    def settle(self, load: Callable[[str], T]) -> None:
        """Take the present state for the stored one, as it was just written."""
        self._load = load
        self._removed = self._added = None

    def _insert(self, name: str | None, item: T) -> None:
        if self._accepts and not isinstance(target_of(item), self._accepts):
            wanted = " or ".join(sorted(kind.__name__ for kind in self._accepts))
            raise SchemaError(
                f"expected {wanted}, found {type(item).__name__} {item!r}", path=self._place
            )
        own = getattr(item, "name", None)
        if not isinstance(own, str) or not own:
            raise SchemaError(f"{type(item).__name__} {item!r} has no name", path=self._place)
        if name != own:
            raise SchemaError(
                f"the object is named {own!r}, not {name!r}",
                path=self._place,
                hint="an object goes under its own name",
            )
        _check_name(own, self._place)
        present = self._items.get(own)
        if present is not None and present is not item:
            raise SchemaError(
                f"two objects with one name: {own!r} is there already",
                path=self._place,
                hint="choose another name, or delete the first",
            )
        if present is not item:
            self._items[own] = item
            if self._added is None:
                self._added = set()
            self._added.add(own)

    def __getitem__(self, name: str) -> T:
        try:
            item = self._items[name]
        except KeyError:
            names = ", ".join(map(repr, list(self._items)[:10])) or "nothing"
            raise MemberNotFoundError(
                f"there is no {name!r}; there is {names}",
                path=self._place,
                hint=self._elsewhere(name) or did_you_mean(str(name), self._items),
            ) from None
        if item is _NOT_LOADED:
            assert self._load is not None
            item = self._items[name] = self._load(name)
        found: T = target_of(item)
        return found

    def _elsewhere(self, name: Any) -> str | None:
        """Say where a stored object is that lies in the group, but has a field of its own."""
        if self._load is None or not isinstance(name, str) or name in self.removed:
            return None
        try:
            path = getattr(self._load(name), "hdf5_path", None)
        except (
            LookupError,
            OSError,
            ValueError,
            TypeError,
        ):  # there is none, or it is not readable
            return None
        return f"the file has it, in a field of its own: session[{path!r}]" if path else None

    def get(self, name: str, default: Any = None) -> Any:
        """Give the object of that name, or the default; no message is made for it."""
        return self[name] if name in self._items else default

    def __setitem__(self, name: str, item: T) -> None:
        self._insert(name, item)

    def __delitem__(self, name: str) -> None:
        if name not in self._items:
            self[name]  # raises, naming what there is
        if self._added is not None and name in self._added:
            self._added.remove(name)
        elif self._load is not None:
            if self._removed is None:
                self._removed = set()
            self._removed.add(name)
        del self._items[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, name: object) -> bool:
        return name in self._items

    def _ipython_key_completions_(self) -> list[str]:
        return list(self)

    def __repr__(self) -> str:
        names = list(self._items)
        shown = ", ".join(names[:8]) + (f", ... {len(names)} in all" if len(names) > 8 else "")
        return f"<Children: {shown or 'empty'}>"


def _check_name(name: str, place: str) -> None:
    if not isinstance(name, str) or not name or "/" in name or name == ".":
        raise SchemaError(
            f"the name {name!r} is no HDF5 name: it is empty, '.', or has a '/'",
            path=place or None,
            hint="choose another name",
        )
