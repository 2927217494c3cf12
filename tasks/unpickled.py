"""No result of a task is ever unpickled, whatever its file says about itself.

A stored result names the serializer that reads it. Prefect would believe a file that says `pickle`,
although this project writes JSON: whoever can write into the folder of results could run code.
Here that name means JSON too; a pickle is none, so such a file counts as not there, and the step
runs again.
"""

from __future__ import annotations

import warnings

from prefect.serializers import JSONSerializer
from pydantic import Field

with warnings.catch_warnings():
    # That the name was taken is the point: a serializer enters the register as it is made.
    warnings.simplefilter("ignore", UserWarning)

    class Unpickled(JSONSerializer):
        """JSON under the name of pickle."""

        type: str = Field(default="pickle", frozen=True)
