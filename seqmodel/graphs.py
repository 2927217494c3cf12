"""A network as an ONNX graph: forecasts what Keras's does, and is loaded in a tenth of a second.

The import of TensorFlow, tracing and loading compiled code take a child more time than forecasting
ten thousand series with a segment network; memory too. Graphs are made once a version by
`seqmodel.graphing`.
"""

from __future__ import annotations

from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from seqmodel.features import Preprocessor
from seqmodel.specs import PipelineSpec
from seqmodel.store.bundles import read_manifest, read_preprocessor, read_spec
from seqmodel.store.graphs import read_graph
from seqmodel.store.refs import GraphRef
from seqmodel.store.store import Store


@final
class Graph:
    """A network, asked like a Keras model; one thread: shards lie side by side already.

    Args:
        content: the graph's file.

    Attributes:
        inputs: what it reads, each with a `name`.
    """

    def __init__(self, content: bytes) -> None:
        from onnxruntime import InferenceSession, SessionOptions

        options = SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = InferenceSession(content, options, providers=["CPUExecutionProvider"])
        self.inputs = tuple(self._session.get_inputs())

    def predict_on_batch(self, inputs: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Return N x H x P parameters of the arrays of N windows."""
        found: NDArray[np.float32] = self._session.run(None, inputs)[0]
        return found


def load_graph(
    store: Store, graph: GraphRef, key: str, member: str = ""
) -> tuple[Graph, Preprocessor, PipelineSpec]:
    """Load a network's graph and what its bundle says of it, after checking every byte.

    Args:
        store: the data root.
        graph: of the version.
        key: of the network's bundle.
        member: its folder, of a member of an ensemble.

    Returns:
        As `seqmodel.loading.load_model` does.

    Raises:
        StoreError: if a file is missing or changed.
    """
    spec = read_spec(store, key, read_manifest(store, key))
    fitted = Preprocessor.from_json(read_preprocessor(store, key))
    return Graph(read_graph(store, graph, member)), fitted, spec
