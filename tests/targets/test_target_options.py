"""The options on targets are listed in `TargetOptions`; every function that spells them out follows it."""

import inspect

import pytest

import l0np
from l0np import SparseCalibrationWeights
from l0np.targets import DEFAULTS, TargetOptions

UNNAMED = {SparseCalibrationWeights.fit: {"names"}}  # its targets have the names of the index of M or y


def public_functions():
    """Yield the public functions of the package and the methods of its public classes."""
    for name in l0np.__all__:
        thing = getattr(l0np, name)
        for part in vars(thing).values() if inspect.isclass(thing) else [thing]:
            function = getattr(part, "__func__", part)
            if inspect.isfunction(function) and function.__module__.startswith("l0np"):
                yield function


SPELLED_OUT = [f for f in public_functions() if "target_groups" in inspect.signature(f).parameters]


def test_defaults_are_those_of_every_option():
    assert DEFAULTS.keys() == TargetOptions.__annotations__.keys()


def test_functions_that_spell_options_out_are_found():
    assert SparseCalibrationWeights.fit in SPELLED_OUT


@pytest.mark.parametrize("function", SPELLED_OUT, ids=lambda f: f.__qualname__)
def test_names_and_defaults_follow_the_list(function):
    expected = {name: value for name, value in DEFAULTS.items() if name not in UNNAMED.get(function, ())}
    given = {
        name: p.default for name, p in inspect.signature(function).parameters.items() if name in DEFAULTS
    }
    assert given == expected
    assert "l0np.TargetOptions" in inspect.getdoc(function)
