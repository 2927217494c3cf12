"""Stored versions of a pipeline `p`: whole bundles around a network of a few bytes."""

from datetime import UTC, datetime

from seqmodel.specs import PipelineSpec
from seqmodel.store.bundles import model_key, write_bundle
from seqmodel.store.champion import Champion, swap_champion
from seqmodel.store.serving import elect_version

NIGHT = datetime(2024, 1, 2, tzinfo=UTC)
SPEC = PipelineSpec(name="p", source={"uri": "x", "past": ["rain"]}, window={"horizon": 3})


class Network:
    """Stands for a Keras model: only `save` is called."""

    def save(self, path):
        path.write_bytes(b"weights")


def write(store, version, as_of=NIGHT, spec=SPEC, **more):
    figures = dict.fromkeys(("parameters", "epochs", "best_epoch", "holdout", "seconds"), 1)
    figures |= {"version": version, "kind": "gru", "lookback": 4, "as_of": as_of.isoformat()}
    manifest = {**figures, "spec": spec.model_dump(mode="json"), **more}
    write_bundle(store, model_key("p", version), Network(), {}, manifest)


def point(store, version, previous=None, expected=None):
    new = Champion(version=version, previous=previous, reason="better", promoted_at=NIGHT)
    swap_champion(store, "p", new, expected)


def elect(store, spec=SPEC, as_of=NIGHT, **options):
    serving = elect_version(store, spec, as_of, **options)
    return (serving.model.version if serving.model else None), serving.notes


def damage(store, version):
    (store.path(model_key("p", version)) / "model.keras").write_bytes(b"other")
