"""The one retry policy: what may pass by itself is tried again, what is wrong is not."""

from __future__ import annotations

from typing import Any

from prefect.tasks import exponential_backoff

from seqmodel.errors import ChildDied, SeqmodelError

#: Two more tries after about 4 and 8 s, each up to a half longer, so that siblings do not collide.
RETRIES: dict[str, Any] = {
    "retries": 2,
    "retry_delay_seconds": exponential_backoff(4),
    "retry_jitter_factor": 0.5,
}


def may_pass(error: BaseException) -> bool:
    """Whether an error may be gone at the next try: I/O, or a child process that died."""
    if isinstance(error, ChildDied):
        return True
    lasting = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)
    return isinstance(error, OSError) and not isinstance(error, (SeqmodelError, *lasting))


async def retry_if_it_may_pass(_task: Any, _run: Any, state: Any) -> bool:
    """Tell Prefect whether to try a failed task again."""
    error = await state.aresult(raise_on_failure=False)
    return isinstance(error, BaseException) and may_pass(error)
