"""What a collection of gates, layers and models consists of, each object once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from l0np.errors import InputTypeError
from l0np.gates import Module
from l0np.inputs import validation
from l0np.models import GatedModel


def members(collection: Any, name: str = "") -> Iterator[tuple[str, Module | GatedModel]]:
    """Yield the modules, with all their parts, and the models of a collection, each once, by their names.

    Raises
    ------
    InputTypeError
        For anything that is none of these; the message says where it is.
    """
    seen: set[int] = set()
    for of, member in _members(collection, name):
        if id(member) not in seen:
            seen.add(id(member))
            yield of, member


def _members(collection: Any, name: str) -> Iterator[tuple[str, Module | GatedModel]]:
    if isinstance(collection, Module):
        yield from collection.named_modules(name)
    elif isinstance(collection, GatedModel):
        yield name, collection
    elif isinstance(collection, Mapping | list | tuple):
        pairs = collection.items() if isinstance(collection, Mapping) else enumerate(collection)
        for key, item in pairs:
            yield from _members(item, f"{name}.{key}" if name else str(key))
    else:
        wanted = "a gate, a layer or a model of l0np, or a collection of these"
        where = f"model: element {name}" if name else "model"
        raise validation.wrong_kind(where, wanted, collection)


def without_gradients(name: str) -> InputTypeError:
    """Return the error for a model where a gradient is wanted."""
    where = f"model: element {name}" if name else "model"
    reason = "has no gradients to add to: its fit adds the penalties itself; leave out upstream"
    return InputTypeError(f"{where} {reason}")
