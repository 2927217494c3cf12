"""What the network is and what it says about the target."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from seqmodel.specs.base import Spec

MEDIAN = 0.5


class ModelSpec(Spec):
    """The network."""

    kind: Literal["gru", "lstm", "rnn"] = Field("gru", description="model of the registry")
    units: int = Field(64, ge=1, le=4096, description="width of a recurrent layer (cells)")
    layers: int = Field(1, ge=1, le=8, description="recurrent layers, one above the other (layers)")
    dropout: float = Field(0.1, ge=0, lt=1, description="share of activations dropped in training")


class OutputSpec(Spec):
    """What the network says about the target."""

    kind: Literal["quantiles", "point"] = Field(
        "quantiles", description="quantiles by pinball loss, or one number by absolute error"
    )
    quantiles: tuple[float, ...] = Field(
        (0.1, 0.5, 0.9), min_length=1, description="quantiles forecast, ascending, with 0.5"
    )

    @field_validator("quantiles")
    @classmethod
    def _check_quantiles(cls, quantiles: tuple[float, ...]) -> tuple[float, ...]:
        inside = all(0 < q < 1 for q in quantiles)
        if not inside or list(quantiles) != sorted(set(quantiles)) or MEDIAN not in quantiles:
            raise ValueError(
                f"found quantiles {list(quantiles)}, needed ascending numbers between 0 and 1 with"
                " 0.5 among them; write them so, for instance [0.1, 0.5, 0.9]"
            )
        return quantiles

    @property
    def levels(self) -> tuple[float, ...]:
        """The quantile levels of the head, `(0.5,)` for a point forecast."""
        return self.quantiles if self.kind == "quantiles" else (0.5,)
