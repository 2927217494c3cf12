"""What every ref is."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Ref(BaseModel):
    """Base of all refs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def needs(self) -> tuple[str, ...]:
        """Return the keys below the data root of everything that must exist.

        Not called `keys`: whatever has `keys` is a mapping to `dict()`, and Prefect calls that.
        """
        return ()

    def became(self) -> str | None:
        """Return the key of what was made of it; with that there, what it needs may be gone."""
        return None
