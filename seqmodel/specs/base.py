"""What all specs share."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

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
#: A password after the user's name; a colon before digits and a slash is a port.
PASSWORD = re.compile(r"[^/@]*:(?!\d+(/|$))[^@]*@")
#: A query that signs or opens the address: anybody who reads it may use it.
SIGNED = re.compile(
    r"[?&][^=&]*(sig|token|passw|secret|credential|access_?key|api_?key)[^=&]*=", re.IGNORECASE
)
#: Here a question mark is a letter of the name.
BUCKETS = {"s3", "s3a", "gs", "gcs", "file"}
Share = Annotated[float, Field(ge=0, le=1)]


class Spec(BaseModel):
    """Base of all specs: frozen, no unknown knobs, and no value in what is said of a wrong one."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=True
    )


def check_order(minimum: float | None, maximum: float | None) -> None:
    """Refuse limits the wrong way round.

    Raises:
        ValueError: naming both.
    """
    if minimum is not None and maximum is not None and minimum > maximum:
        raise ValueError(
            f"found minimum {minimum} above maximum {maximum}, needed the reverse; swap them"
        )


def check_no_secret(url: str) -> str:
    """Return a URL without a password, key or signature: specs stand in logs and reports.

    Raises:
        ValueError: without repeating it.
    """
    scheme, _, rest = url.partition("://")
    signed = scheme.lower() not in BUCKETS and SIGNED.search(rest)
    if PASSWORD.match(rest) or signed:
        raise ValueError(
            "found a password, key or signature in the URL, needed none in a spec, which logs and"
            " reports show; leave it to the environment (such as PGPASSWORD, AWS_ACCESS_KEY_ID and"
            " AWS_SECRET_ACCESS_KEY)"
        )
    return url


#: A place that a spec names: never with what opens it.
Address = Annotated[str, AfterValidator(check_no_secret)]
