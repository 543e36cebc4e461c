"""The tree of errors is what its documentation draws, each with its exit code."""

from __future__ import annotations

import pickle

import pytest

from bessemer.core import errors
from bessemer.core.errors import BessemerError, ConfigError, Fault


def all_errors(base: type[BessemerError]) -> list[type[BessemerError]]:
    """Those that users meet by name; a module may have kinds of its own for itself."""
    public = [each for each in base.__subclasses__() if each.__module__ == errors.__name__]
    return [base, *(error for child in public for error in all_errors(child))]


def test_every_error_has_its_place_and_its_exit_code() -> None:
    found = {error.__name__: (error.__base__.__name__, error.exit_code)
             for error in all_errors(BessemerError)}  # fmt: skip
    assert found == {
        "BessemerError": ("Exception", 1),
        "ConfigError": ("BessemerError", 2),
        "DataError": ("BessemerError", 3),
        "IntegrityError": ("DataError", 3),
        "MachineError": ("BessemerError", 4),
        "TrainingError": ("BessemerError", 5),
        "LostRankError": ("BessemerError", 6),
        "RequeueError": ("BessemerError", 75),
    }
    assert all(name in str(errors.__doc__) for name in found)


def test_a_config_error_shows_all_faults_and_keeps_them() -> None:
    faults = [Fault("train.seq_len", "should be 8 or more"), Fault("mix", "is wrong")]
    error = ConfigError(fault for fault in faults)
    assert str(error) == "train.seq_len: should be 8 or more\nmix: is wrong"
    assert error.faults == tuple(faults)


def test_a_plain_message_is_a_fault_of_the_command_line() -> None:
    assert str(ConfigError("no such verb")) == "command line: no such verb"


@pytest.mark.parametrize("kind", [e for e in all_errors(BessemerError) if e is not ConfigError])
def test_an_error_of_a_worker_arrives_as_it_was_raised(kind: type[BessemerError]) -> None:
    error = pickle.loads(pickle.dumps(kind("row 3: broken")))
    assert type(error) is kind
    assert str(error) == "row 3: broken"
