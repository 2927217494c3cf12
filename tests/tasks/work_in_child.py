"""Functions that the child process is asked to run."""

import logging
import os
import signal
import sys
import time
from pathlib import Path

from seqmodel.errors import DataError


def answer(job, tell):
    tell({"step": 1})
    logging.getLogger("seqmodel.some").warning("seen %d", 7)
    tell({"step": 2})
    return {"pid": os.getpid(), "doubled": job["n"] * 2, "backend": os.environ["KERAS_BACKEND"]}


def refuse(_job, _tell):
    raise DataError("found 1, needed 2; bring another")


def break_down(_job, _tell):
    raise KeyError("a bug")


def fill_disk(_job, _tell):
    raise OSError(28, "No space left on device")


def find_no_memory(job, _tell):
    raise type(job["error"], (MemoryError,), {})("cannot allocate 1 TB")


def grow(_job, _tell):
    ballast = b"x" * (600 << 20)
    time.sleep(60)
    return len(ballast)


def kill(_job, _tell):
    os.kill(os.getpid(), signal.SIGKILL)


def sleep(job, _tell):
    if "file" in job:
        Path(job["file"]).write_text(str(os.getpid()))
    time.sleep(60)


def chatter(_job, tell):
    while True:
        tell({"step": 0})


def print_much(_job, _tell):
    sys.stdout.write('42\n["a", "list"]\nno end of line')
    sys.stdout.flush()
    sys.stderr.write("x" * 200_000)
    return "y" * 200_000


def say_nothing(_job, _tell):
    os._exit(3)


def make_frame(_job, _tell):
    heavy = ("keras", "matplotlib", "onnxruntime", "pandas", "scipy", "tensorflow")
    loaded = [name for name in heavy if sys.modules.get(name)]
    import pyarrow as pa

    column = pa.table({"a": [1.0, None]}).to_pandas()["a"]
    return {"loaded": loaded, "later": pa.array(column, from_pandas=True).to_pylist()}
