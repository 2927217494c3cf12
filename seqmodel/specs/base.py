"""What all specs share."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

Columns = tuple[str, ...]
#: One column by its name, or several; forms and files may say either.
OneOrMoreColumns = Annotated[
    Columns,
    BeforeValidator(lambda value: (value,) if isinstance(value, str) else value),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string"},
                {"type": "array", "items": {"type": "string"}, "minItems": 1},
            ]
        }
    ),
]
Share = Annotated[float, Field(ge=0, le=1)]


class Spec(BaseModel):
    """Base of all specs: frozen, and no unknown knobs."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def check_order(minimum: float | None, maximum: float | None) -> None:
    """Refuse limits the wrong way round.

    Raises:
        ValueError: naming both.
    """
    if minimum is not None and maximum is not None and minimum > maximum:
        raise ValueError(
            f"found minimum {minimum} above maximum {maximum}, needed the reverse; swap them"
        )
