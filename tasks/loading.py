"""Load what a child needs first, without what that looks for and need not have."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.abc import MetaPathFinder
from typing import Any, final

#: What is imported behind the curtain.
BEHIND = ("keras", "onnxruntime")
#: What Keras looks for when it is imported, and Arrow at its first array. Children that forecast
#: give them arrays only; frames and sparse matrices would cost each .3 s and 50 MB.
LEFT_OUT = ("pandas", "scipy")


@final
class _Curtain(MetaPathFinder):
    """Lets packages look as if they were not installed; None in `sys.modules` upsets Arrow."""

    def find_spec(self, fullname: str, *_: Any) -> None:
        """Refuse them; leave all others to the finders that follow."""
        if fullname in LEFT_OUT:
            raise ModuleNotFoundError(f"{fullname} is left out here", name=fullname)


def load(module: str) -> None:
    """Import a module; those that run networks without what they need not have.

    Args:
        module: its name.
    """
    if module not in BEHIND:
        import_module(module)
        return
    curtain = _Curtain()
    sys.meta_path.insert(0, curtain)
    try:
        numpy, arrow = import_module("numpy"), import_module("pyarrow")
        # It looks once, each way; whoever asks it for a frame later still gets one.
        arrow.array(numpy.zeros(1)).to_numpy()
        import_module(module)
    finally:
        sys.meta_path.remove(curtain)
