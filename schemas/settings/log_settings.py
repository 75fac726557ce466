"""Settings of the event log: one server, a cluster, or a master that sentinels watch."""

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

Address = Annotated[str, Field(pattern=r"^[^\s/@]+:\d{1,5}$", examples=["10.0.0.1:6379"])]


class LogSettings(BaseModel):
    """Settings of the event log."""

    # An error about the whole must not print its parts: passwords are among them.
    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, hide_input_in_errors=True
    )

    mode: Literal["single", "cluster", "sentinel"] = "single"
    """Kind of server: one server (or an address that leads to one), a Redis Cluster, or a master and its
    replicas watched by sentinels."""
    url: SecretStr | None = None
    """Any Redis >= 7.0 or Valkey >= 7.2; None: the embedded server under `home`. Mode "cluster": one of its
    servers. Mode "sentinel": only user, password, database and TLS (rediss://) count, for the master;
    TLS for the sentinels, too."""
    nodes: tuple[Address, ...] = ()
    """Mode "cluster": further servers to ask first, for when the one in `url` is down."""
    sentinels: tuple[Address, ...] = ()
    """Mode "sentinel": where they listen."""
    master: str = Field(default="mymaster", min_length=1)
    """Mode "sentinel": the name under which the sentinels know the master."""
    sentinel_password: SecretStr | None = None
    replicas_acknowledge: int | None = Field(default=None, ge=0, le=8)
    """So many replicas must have commands and the ends of turns before these count as in the log; without
    them they wait, and are refused after a while. None: none in mode "single", else one."""
    durability: Literal["everysec", "always"] = "everysec"
    """How often the embedded server's file is forced to disk. A process kill loses nothing either way, a
    power cut about a second with `everysec`. For a server of yours `appendfsync always` is the safe choice:
    its own `everysec` goes on answering for up to two seconds while a slow disk is busy."""
    partitions: int | None = Field(default=None, ge=1, le=1_024)
    """Fixed when the log is made. None: 16, on a cluster 64, of which each shard has its share."""
    max_memory_mb: int = Field(default=2_048, ge=64)
    max_session_bytes: int = Field(default=256 * 1024 * 1024, ge=1_024)

    @field_validator("url")
    @classmethod
    def _url_is_of_redis(cls, url: SecretStr | None) -> SecretStr | None:
        """Says nothing of what is in it: a password may be."""
        if url is not None:
            try:
                parts = urlsplit(url.get_secret_value())
                _ = parts.port
            except ValueError as error:
                raise ValueError("cannot be read; write signs of a password as %XX") from error
            if parts.scheme not in ("redis", "rediss", "unix"):
                raise ValueError("must begin with redis://, rediss:// or unix://")
        return url

    @model_validator(mode="after")
    def _mode_has_its_addresses(self) -> Self:
        if self.mode == "cluster" and not (self.url or self.nodes):
            raise ValueError('mode "cluster" needs url or nodes')
        if self.mode == "sentinel" and not self.sentinels:
            raise ValueError('mode "sentinel" needs sentinels')
        if self.nodes and self.mode != "cluster":
            raise ValueError('nodes are for mode "cluster"')
        if self.sentinels and self.mode != "sentinel":
            raise ValueError('sentinels are for mode "sentinel"')
        if self.mode != "single" and self.url and urlsplit(self.url.get_secret_value()).scheme == "unix":
            raise ValueError(f'mode "{self.mode}" needs a redis:// or rediss:// url')
        return self

    @property
    def embedded(self) -> bool:
        """The server is ours to start."""
        return self.mode == "single" and self.url is None

    @property
    def replicas(self) -> int:
        if self.replicas_acknowledge is not None:
            return self.replicas_acknowledge
        return 0 if self.mode == "single" else 1

    @property
    def retain_s(self) -> float:
        """So long an owner keeps what it wrote, to give it back: longer than a failover may take."""
        return 5.0 if self.mode == "single" else 30.0

    @property
    def partition_count(self) -> int:
        return self.partitions or (64 if self.mode == "cluster" else 16)
