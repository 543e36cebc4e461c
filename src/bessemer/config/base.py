"""What every section of the run file shares: strict, frozen, no unknown keys, units."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from bessemer.config.kinds import Kind
from bessemer.core.units import parse_bytes, parse_tokens


class Section(BaseModel):
    """One table of the run file."""

    model_config = ConfigDict(
        strict=True,
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        use_attribute_docstrings=True,  # the reference of the run file is made from them
    )


Tokens = Annotated[int, BeforeValidator(parse_tokens), Field(gt=0)]
Bytes = Annotated[int, BeforeValidator(parse_bytes), Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
# TOML has arrays only; strict mode would refuse to make a tuple of one.
Strings = Annotated[tuple[str, ...], Field(strict=False)]
Kinds = Annotated[tuple[Kind, ...], Field(strict=False)]
