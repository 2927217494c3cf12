"""The members of an ensemble: what each of them does otherwise than the spec around it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, final

from pydantic import Field, ValidationError, model_validator

from seqmodel.specs.base import Spec

if TYPE_CHECKING:
    from seqmodel.specs.pipeline import PipelineSpec

Baseline = Literal["seasonal_naive", "naive", "drift"]
#: Sections in which members may differ, and what must be one for all: the question asked, and
#: what none of them may have been trained on.
SHARED: dict[str, tuple[str, ...]] = {
    "model": ("members", "seeds", "combine", "at_once"),
    "window": ("horizon",),
    "features": (),
    "scaling": (),
    "output": ("quantiles", "calibration", "calibration_unit", "adapt_rate", "adapt_cutoffs"),
    "train": ("holdout", "warm_start", "scratch_every"),
}
#: Knobs of an ensemble's model section that are not handed down to its members.
OWN = ("kind", *SHARED["model"])


class MemberSpec(Spec):
    """One member: a statistical baseline, or a network and the knobs in which it differs."""

    baseline: Baseline | None = Field(
        None, description="a statistical baseline in place of a network"
    )
    model: dict[str, Any] = Field({}, description="knobs of model that differ, kind among them")
    window: dict[str, Any] = Field({}, description="knobs of window that differ, but the horizon")
    features: dict[str, Any] = Field({}, description="knobs of features that differ")
    scaling: dict[str, Any] = Field({}, description="knobs of scaling that differ")
    output: dict[str, Any] = Field({}, description="knobs of output that differ: kind and loss")
    train: dict[str, Any] = Field(
        {}, description="knobs of train that differ; without a seed each member gets the next one"
    )

    @model_validator(mode="after")
    def _check_sections(self) -> MemberSpec:
        for section, shared in SHARED.items():
            found = sorted(set(getattr(self, section)) & set(shared))
            if found:
                raise ValueError(
                    f"found {section}.{found[0]} for one member, needed it the same for all; set it"
                    " outside of model.members"
                )
        if self.baseline and any(getattr(self, section) for section in SHARED):
            raise ValueError(
                f"found knobs beside the baseline {self.baseline!r}, needed either; take one out"
            )
        return self


@final
@dataclass(frozen=True)
class Member:
    """A member as it is trained or measured.

    Attributes:
        name: what reports call it, such as `1 gru`.
        spec: a pipeline of its own with one network; that of the ensemble for a baseline.
        baseline: the statistical baseline it is, None for a network.
    """

    name: str
    spec: PipelineSpec
    baseline: Baseline | None = None


def list_members(spec: PipelineSpec) -> tuple[Member, ...]:
    """Return what a pipeline trains: its network, or each member of its ensemble.

    Each network is listed `model.seeds` times; the seeds count on from `train.seed`.

    Raises:
        ValueError: if a member's knobs are unknown, out of bounds or contradict one another.
    """
    if spec.model.kind != "ensemble":
        return (Member(spec.model.kind, spec),)
    found: list[Member] = []
    for position, member in enumerate(spec.model.members or (MemberSpec(),), start=1):
        if member.baseline:
            found.append(Member(f"{len(found) + 1} {member.baseline}", spec, member.baseline))
            continue
        for copy in range(spec.model.seeds):
            own = member.train.get("seed")
            seed = spec.train.seed + len(found) if own is None else own + copy
            one = _derive(spec, member, seed, position)
            found.append(Member(f"{len(found) + 1} {one.model.kind}", one))
    return tuple(found)


def _derive(spec: PipelineSpec, member: MemberSpec, seed: int, position: int) -> PipelineSpec:
    """Return the pipeline of one network of an ensemble."""
    given = {section: dict(getattr(member, section)) for section in SHARED}
    kind = given["model"].setdefault("kind", type(spec.model).model_fields["kind"].default)
    if kind == "ensemble":
        raise ValueError(
            f"found an ensemble as member {position} of model.members, needed a network or a"
            " baseline; list its members instead"
        )
    handed = {
        name: value
        for name, value in spec.model.model_dump().items()
        if name in spec.model.model_fields_set - set(OWN) and spec.model.reads(name, kind)
    }
    whole = spec.model_dump(exclude={"model", "tune"})
    for section in SHARED:
        whole[section] = {**whole.get(section, handed), **given[section]}
    whole["train"]["seed"] = seed
    whole["output"]["calibration"] = "none"  # The ensemble is calibrated as a whole.
    try:
        return type(spec).model_validate(whole)
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(map(str, first["loc"]))
        reason = first.get("ctx", {}).get("error", first["msg"])
        raise ValueError(
            f"found member {position} of model.members with {path or 'knobs'} refused ({reason}),"
            " needed a network that can be trained; correct it"
        ) from None
