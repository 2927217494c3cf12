"""Which knobs are tuned, over which values, and for how long."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from seqmodel.specs.base import Spec

#: Sections whose knobs may be tuned: the others say what the data are and how models are judged.
TUNABLE = ("window", "features", "scaling", "model", "output", "train")
#: Knobs of these that move the holdout or what it is scored by, so that trials could not be
#: compared; and those of the machine.
FIXED = frozenset(
    {
        *("train.holdout", "train.device", "train.deadline", "train.memory_limit"),
        *("train.tensorboard", "train.warm_start", "output.quantiles"),
    }
)

Choice = bool | int | float | str | tuple[int, ...] | None


class RangeSpec(Spec):
    """The values that a knob may take: from a low to a high number, or one of some choices."""

    low: int | float | None = Field(None, description="least value (the knob's unit)")
    high: int | float | None = Field(None, description="greatest value (the knob's unit)")
    log: bool = Field(default=False, description="draw the logarithm evenly, for scales of sizes")
    step: int | float | None = Field(
        None, gt=0, description="distance between the values from low on (the knob's unit)"
    )
    choices: tuple[Choice, ...] = Field(
        (), description="values to choose from (the knob's unit), instead of low and high"
    )

    @model_validator(mode="after")
    def _check_form(self) -> Self:
        numbers = [n for n in ("low", "high", "step") if getattr(self, n) is not None]
        if self.choices:
            if numbers or self.log:
                raise ValueError(
                    f"found choices beside {numbers[0] if numbers else 'log'}, needed either"
                    " choices or low and high; take one of them out"
                )
            if any(self.choices.count(choice) > 1 for choice in self.choices):
                raise ValueError(
                    f"found choices {list(self.choices)}, needed each once; remove the doubles"
                )
            return self
        if self.low is None or self.high is None:
            raise ValueError(
                f"found {numbers[0] if numbers else 'nothing'} alone, needed low and high, or"
                " choices; give them"
            )
        if self.low >= self.high:
            raise ValueError(
                f"found low {self.low} not below high {self.high}, needed it so; swap them or"
                " take the knob out"
            )
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError(
                f"found log with low {self.low} and step {self.step}, needed a low above 0 and no"
                " step; leave log out"
            )
        return self

    @property
    def whole(self) -> bool:
        """Whether every number of the range is written as a whole one."""
        numbers = [n for n in (self.low, self.high, self.step) if n is not None]
        return all(isinstance(number, int) for number in numbers)


class TuneSpec(Spec):
    """What the flow `tune` tries."""

    trials: int = Field(20, ge=1, le=10_000, description="settings tried in all (trials)")
    ranges: dict[str, RangeSpec] = Field(
        {},
        description="what is tuned: dotted path of a knob -> {low, high, log, step} or {choices},"
        " such as model.units: {choices: [32, 64]}",
    )
    pruner: bool = Field(
        default=True,
        description="end a trial whose score after an epoch is worse than the median of the others",
    )
    seed: int = Field(0, ge=0, le=2**31 - 1, description="seed of what is suggested (number)")
    deadline: float = Field(
        6 * 3600, gt=0, description="time after which no further trial begins (seconds)"
    )
