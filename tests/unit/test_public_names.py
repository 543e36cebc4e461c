"""The public names are there, sorted, documented, and found where they are promised."""

from __future__ import annotations

import inspect

import bessemer


def test_public_names_are_sorted_and_exist() -> None:
    assert bessemer.__all__ == sorted(bessemer.__all__)
    for name in bessemer.__all__:
        assert inspect.getdoc(getattr(bessemer, name)), name


def test_an_unknown_name_is_an_attribute_error() -> None:
    try:
        bessemer.nothing  # noqa: B018
    except AttributeError as error:
        assert "no attribute 'nothing'" in str(error)
    else:
        raise AssertionError
