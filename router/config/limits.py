"""The `limits` of the YAML: of clients (at the top), of a deployment, and of one version. Floor 3."""

from typing import Self

from pydantic import Field, model_validator

from router.patterns.limits import ClientLimits
from router.spec import Duration, Share, Size, Spec

_MOST = 1_000_000


class ClientLimitsSpec(Spec):
    """`limits` at the top: what clients may do, all workers together where something is counted."""

    target: Size = Field(16 << 10, ge=1 << 10, le=1 << 20)
    head: Size = Field(64 << 10, ge=4 << 10, le=1 << 20)
    fields: int = Field(200, ge=100, le=10_000)
    head_timeout: Duration = Field(10.0, gt=0)
    keep_alive: Duration = Field(75.0, gt=0)
    write_timeout: Duration = Field(30.0, gt=0)
    body_rate: Size = Field(64, le=1 << 20)
    body_grace: Duration = Field(10.0, ge=1)
    pipelined: int = Field(256, ge=0, le=10_000)
    connections: int | None = Field(None, ge=1, le=_MOST)
    connections_per_client: int | None = Field(None, ge=1, le=_MOST)
    memory: Size | None = Field(None, ge=128 << 20)

    @model_validator(mode="after")
    def _target_fits(self) -> Self:
        if self.target > self.head:
            raise ValueError(
                f"target ({self.target} bytes) is part of the head ({self.head} bytes): lower target or raise head"
            )
        return self

    def compile(self, workers: int) -> ClientLimits:
        """What each of so many workers grants."""
        counted = {
            "connections": part_of(self.connections, workers),
            "connections_per_client": part_of(self.connections_per_client, workers),
            "memory": part_of(self.memory, workers),
        }
        return ClientLimits(**(self.model_dump() | counted))


class DeploymentLimitsSpec(Spec):
    """`limits` of a deployment: the largest body of a request (0: any), and the largest head of an answer."""

    body: Size = 64 << 20
    answer_head: Size = Field(64 << 10, ge=4 << 10, le=1 << 20)


class LimitsSpec(Spec):
    """`limits` of one version, over all workers: connections, requests in flight, and how many wait for their turn,
    and how long."""

    connections: int | None = Field(None, ge=1, le=100_000)
    in_flight: int | None = Field(None, ge=1, le=100_000)
    queue: int = Field(64, ge=0, le=100_000)
    queue_timeout: Duration = Field(1.0, gt=0)

    @model_validator(mode="after")
    def _of_something(self) -> Self:
        waiting = [key for key in ("queue", "queue_timeout") if key in self.model_fields_set]
        if waiting and self.connections is None and self.in_flight is None:
            raise ValueError(f"{waiting[0]} is for requests beyond a limit: add in_flight or connections")
        return self


class RetriesSpec(Spec):
    """`retries`: how often a request that the endpoint cannot have begun to work on is sent again, and for which part
    of all requests that may be done after a failed connection."""

    attempts: int = Field(1, ge=0, le=5)
    budget: Share = 0.2


def part_of(limit: int | None, workers: int) -> int:
    """One worker's part, rounded up: all together may exceed the limit by less than one a worker. 0: no limit."""
    return 0 if limit is None else -(-limit // workers)
