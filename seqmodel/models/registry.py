"""All networks: one line each. Keras is imported when one is built."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any, NamedTuple, final

from seqmodel.models.protocol import Builder, InputShapes
from seqmodel.specs import ModelSpec, OutputSpec


@final
@dataclass(frozen=True)
class Entry:
    """A network of the registry.

    Attributes:
        builder: module and function that builds it.
        about: what it is, in a line.
    """

    builder: str
    about: str

    @property
    def module(self) -> str:
        """Where the builder is."""
        return self.builder.split(":")[0]


RECURRENT = "seqmodel.models.recurrent:build_recurrent"
#: kind -> network.
MODELS = {
    "gru": Entry(RECURRENT, "GRU over the lookback, all steps of the horizon at once"),
    "lstm": Entry(RECURRENT, "LSTM over the lookback, all steps of the horizon at once"),
    "rnn": Entry(RECURRENT, "simple RNN over the lookback, for short memories"),
    "seq2seq": Entry(
        "seqmodel.models.seq2seq:build_seq2seq",
        "encoder over the lookback, decoder over the horizon, step by step",
    ),
    "segment": Entry(
        "seqmodel.models.segment:build_segment",
        "recurrent over segments instead of steps: fast, and good at long lookbacks",
    ),
    "attention": Entry(
        "seqmodel.models.attention:build_attention",
        "self-attention over segments of the lookback",
    ),
}


#: Every `model.kind`: the networks, and what is made of several.
KINDS = {
    **MODELS,
    "ensemble": Entry(
        "seqmodel.training.ensembles:fit_ensemble",
        "several networks and baselines as one: their median, mean, or weights learned",
    ),
}


class Knob(NamedTuple):
    """A field of the model's spec that a network reads."""

    name: str
    default: Any
    description: str


class Listing(NamedTuple):
    """What a person wants to know of a network before choosing it."""

    kind: str
    about: str
    knobs: list[Knob]


def build_model(spec: ModelSpec, shapes: InputShapes, output: OutputSpec) -> Any:
    """Build the network that `spec.kind` names."""
    module, function = MODELS[spec.kind].builder.split(":")
    builder: Builder = getattr(import_module(module), function)
    return builder(spec, shapes, output)


def register_layers() -> None:
    """Import whatever a stored network may name."""
    for name in {"seqmodel.models.endings", *(entry.module for entry in MODELS.values())}:
        import_module(name)


def list_models() -> list[Listing]:
    """Return every kind of model with the knobs that it reads."""
    return [Listing(kind, entry.about, _list_knobs(kind)) for kind, entry in KINDS.items()]


def _list_knobs(kind: str) -> list[Knob]:
    found = []
    for name, field in ModelSpec.model_fields.items():
        extra = field.json_schema_extra
        readers = extra.get("read_by") if isinstance(extra, dict) else None
        if name != "kind" and (not isinstance(readers, list) or kind in readers):
            found.append(Knob(name, field.default, field.description or ""))
    return found
