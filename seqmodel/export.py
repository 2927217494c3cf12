"""Write a stored version as a SavedModel or an ONNX graph.

python -m seqmodel.export --model data/departures/models/VERSION --format onnx --out exported
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from seqmodel.errors import SeqmodelError

FORMS = ("savedmodel", "onnx")


def main(words: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        0 done, 2 a flag or the machine is wrong, 1 the version or the place cannot be used.
    """
    about = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="python -m seqmodel.export", description=about)
    parser.add_argument("--model", type=Path, required=True, help="folder of the version")
    parser.add_argument("--format", choices=FORMS, required=True, help="what to write")
    parser.add_argument("--out", type=Path, required=True, help="folder to make")
    chosen = parser.parse_args(words)
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # Only now: the backend and its words are chosen when Keras is imported.
    from seqmodel.exporting import export_model

    try:
        place = export_model(chosen.model, chosen.format, chosen.out)
    except SeqmodelError as error:
        sys.stderr.write(f"seqmodel: {error}\n")
        return error.exit_code
    sys.stdout.write(f"network: {place}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
