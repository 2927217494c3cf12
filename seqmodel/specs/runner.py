"""Where shards run."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from seqmodel.specs.base import Address, Spec


class RunnerSpec(Spec):
    """Where shards run; what is published does not depend on it."""

    kind: Literal["local", "dask", "deployment"] = Field(
        "local",
        description="local: child processes of this run (forecast.at_once); dask: workers of a Dask"
        " cluster, each with a child process of its own (extra [dask]); deployment: a flow run for"
        " each shard of a forecast, by the workers of its pool",
    )
    deployment: str = Field(
        "shard/shard",
        pattern=r"^[^/]+/[^/]+$",
        description="flow and deployment that forecast one shard, for the kind deployment",
    )
    address: Address | None = Field(
        None,
        pattern=r"^(tcp|tls|ws|wss)://[^\s@]+$",
        description="scheduler of a running Dask cluster, such as tcp://host:8786; without it a"
        " cluster on this machine for as long as the shards take",
    )
    workers: int = Field(
        2, ge=1, le=256, description="workers of a cluster on this machine (processes)"
    )

    @model_validator(mode="after")
    def _check_address(self) -> Self:
        if self.address and self.kind != "dask":
            raise ValueError(
                f"found runner.address {self.address!r} with runner.kind {self.kind}, needed"
                " runner.kind dask; set it or take the address out"
            )
        return self
