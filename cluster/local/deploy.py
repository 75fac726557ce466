"""`rhapsode deploy`: a checked configuration onto a Ray cluster that runs already."""

import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cluster.local.process_logs import cause
from cluster.terminal.cli_errors import CliError, UsageError
from cluster.terminal.console import Note, Steps

if TYPE_CHECKING:
    from cluster.checks.config import Config

_ADDRESS: Final = re.compile(r"auto|(ray://)?[^\s/]+:\d{1,5}")
_PATIENCE_S: Final = 600.0
"""A model may have to come over the network first."""
_PROBE_S: Final = 5.0
_LOOK_S: Final = 120.0
"""For every node to say whether it reaches the log; the first process of a node takes its time."""
_SEVERAL: Final = "docs/operating.md, Several nodes"
_PYTHON_PROXY: Final = (
    "RAY_SERVE_ENABLE_HA_PROXY is not 1 on every node: Serve's Python proxy keeps what a client does not "
    f"read, however much it is. See {_SEVERAL}."
)


def run(file: Path, address: str, steps: Steps, *, insecure: bool = False) -> None:
    """Check `file`, deploy it at the Ray cluster of `address`, and wait until everything is healthy.

    Deploying again changes what has changed, one replica after the other. The cluster stays as it is.
    `insecure`: a cluster that asks nobody for a token is taken, too.
    """
    if not _ADDRESS.fullmatch(address):
        raise UsageError(f"--address {address!r} is no address.", "Write HOST:PORT, or auto.")
    from cluster.checks.config import load

    with steps.step("Configuration") as note:
        config = load(file)
        note(f"{config.settings.profile} ({file})")
    with steps.step("Authentication") as note:
        address = _resolved(address)
        note(authenticate(address, insecure=insecure))
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray
    from ray import serve

    from cluster.local import ray_host

    with steps.step("Cluster") as note:
        nodes = _joined(address, config, note)
    try:
        with steps.step("Log server") as note:
            found = _log_of(nodes, config.serve.applications[0].args)
            note(found["about"])
        for warning in found["warnings"]:
            steps.say(f"[yellow]Warning:[/yellow] {warning}")
        with steps.step("Models and gateways") as note:
            serve.start(
                proxy_location=config.serve.proxy_location,
                http_options=config.serve.http_options.model_dump(),
                logging_config=config.serve.logging_config,
                controller_options=config.serve.controller_options,
            )
            ray_host.deploy(config.serve, note, patience_s=_PATIENCE_S)
    finally:
        ray.shutdown()


def _joined(address: str, config: "Config", note: Note) -> list[dict[str, Any]]:
    """Connects to the cluster; its nodes. Raises CliError where it lacks what the configuration asks for."""
    import ray

    from cluster.checks.placement_check import cards_needed, pools

    try:
        ray.init(address=address, namespace="serve", log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:  # Ray raises of many kinds when nobody answers
        raise CliError(f"The Ray cluster at {address} cannot be used: {error}", "See: ray status") from error
    nodes = [node for node in ray.nodes() if node["Alive"]]
    missing = pools(config.settings) - {node.get("Labels", {}).get("pool", "") for node in nodes}
    if missing:
        advice = "Label nodes: ray start --labels pool=NAME"
        raise CliError(f"No node is of the pool {', '.join(sorted(missing))}.", advice)
    cards = ray.cluster_resources().get("GPU", 0.0)
    if cards < cards_needed(config.settings):
        raise CliError(f"{cards_needed(config.settings)} GPUs are wanted, the cluster has {cards:g}.")
    note(f"{len(nodes)} nodes, {cards:g} GPUs")
    return nodes


def _resolved(address: str) -> str:
    """HOST:PORT of the cluster that `auto` means: RAY_ADDRESS, or what runs on this machine."""
    if address != "auto":
        return address
    if given := os.environ.get("RAY_ADDRESS"):
        return given
    try:
        place = Path(os.environ.get("RAY_TMPDIR", "/tmp"), "ray", "ray_current_cluster")
        return place.read_text(encoding="utf-8").strip()
    except OSError as error:
        message = "There is no Ray cluster on this machine."
        raise CliError(message, f"Name one: --address HOST:PORT ({_SEVERAL}).") from error


def authenticate(address: str, *, insecure: bool) -> str:
    """How the cluster knows who comes; from now on this process shows its token. Raises CliError.

    Ray itself tries for half a minute and more, with lines of its own on the terminal; one call with a time
    limit knows as much. With RAY_USE_TLS both sides show certificates, and Ray makes that connection.
    """
    if os.environ.get("RAY_USE_TLS") == "1":
        return "by certificates (RAY_USE_TLS)"
    answer = _answer(address, "")
    if answer == "OK":
        if not insecure:
            raise CliError(
                f"The Ray cluster at {address} asks nobody for a token: whoever reaches its ports can run "
                "any code on its nodes.",
                f"Start Ray with RAY_AUTH_MODE=token ({_SEVERAL}), or add --insecure.",
            )
        return "none, as --insecure says"
    if answer == "UNAUTHENTICATED":
        token = _token()
        if not token:
            message = f"The Ray cluster at {address} asks for a token, and there is none here."
            raise CliError(message, f"Set RAY_AUTH_TOKEN_PATH to the cluster's token ({_SEVERAL}).")
        if _answer(address, token) == "UNAUTHENTICATED":
            raise CliError(
                f"The Ray cluster at {address} does not take the token that is here.",
                f"Every node and this terminal need the same one in RAY_AUTH_TOKEN_PATH ({_SEVERAL}).",
            )
        _show_token()
        return "by a token"
    if answer == "UNAVAILABLE":
        raise CliError(f"Nothing listens at {address}.", "Is Ray started there? See: ray status")
    raise CliError(
        f"The server at {address} does not answer as Ray does ({answer}).", "Is it the head's --port?"
    )


def _show_token() -> None:
    """Ray has read its variables when it was imported, so it must read this one again."""
    from ray import _raylet

    os.environ["RAY_AUTH_MODE"] = "token"
    _raylet.Config.initialize("")  # type: ignore[attr-defined]


def _answer(address: str, token: str) -> str:
    """Answer of the cluster's first service to a call with `token`: OK, or the code of gRPC's refusal."""
    import grpc

    client = address.startswith("ray://")
    method = "/ray.rpc.RayletDriver/ClusterInfo" if client else "/ray.rpc.NodeInfoGcsService/CheckAlive"
    shown = [("authorization", f"Bearer {token}")] if token else []
    with grpc.insecure_channel(address.removeprefix("ray://")) as channel:
        try:
            channel.unary_unary(method)(b"", timeout=_PROBE_S, metadata=shown)
        except grpc.RpcError as error:
            code: str = error.code().name
            return code
    return "OK"


def _token() -> str:
    """As Ray looks for it; empty: there is none."""
    if given := os.environ.get("RAY_AUTH_TOKEN", "").strip():
        return given
    place = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or "~/.ray/auth_token").expanduser()
    try:
        return place.read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _log_of(nodes: list[dict[str, Any]], args: Mapping[str, Any]) -> dict[str, Any]:
    """The log server as every node sees it, with its own variables. Raises CliError."""
    import ray
    from ray.exceptions import RayError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    look = ray.remote(num_cpus=0, max_retries=0)(log_from_here)
    places = [NodeAffinitySchedulingStrategy(node["NodeID"], soft=False) for node in nodes]
    asked = [look.options(scheduling_strategy=place).remote(args) for place in places]
    try:
        found = ray.get(asked, timeout=_LOOK_S)
    except RayError as error:
        message = f"A node cannot be asked for its log: {cause(str(error)) or error}"
        raise CliError(message, "Has every node the same release of Rhapsode?") from error
    for node, one in zip(nodes, found, strict=True):
        name = node.get("NodeManagerAddress", "a node")
        if one["trouble"]:
            raise CliError(f"On {name}: {one['trouble']}", one["advice"])
        if one["embedded"] and len(nodes) > 1:
            raise CliError(
                f"{name} has no REDIS_URL: each node would keep a log of its own.",
                f"Set it on every node before Ray is started ({_SEVERAL}), or log.url in the file.",
            )
    first: dict[str, Any] = found[0]
    if not all(one["haproxy"] for one in found):
        first["warnings"].append(_PYTHON_PROXY)
    return first


def log_from_here(args: Mapping[str, Any]) -> dict[str, Any]:
    """Runs on a node: what is to be said of the log that its replicas would use."""
    from pydantic import ValidationError

    from cluster.checks.log_check import examine
    from deployments.app_settings import load_settings

    said = {"trouble": "", "advice": "", "embedded": False, "about": "embedded", "warnings": []}
    said |= {"haproxy": os.environ.get("RAY_SERVE_ENABLE_HA_PROXY") == "1"}
    try:
        settings = load_settings(args).log
        if settings.embedded:
            return said | {"embedded": True}
        found = examine(settings)
    except CliError as error:
        return said | {"trouble": str(error), "advice": error.advice}
    except ValidationError as error:
        wrong = error.errors()[0]
        place = ".".join(str(part) for part in wrong["loc"])
        return said | {"trouble": f"{place}: {wrong['msg']}", "advice": "Correct the variables of that node."}
    warnings = [f"{warning} See docs/redis.md." for warning in found.warnings]
    return said | {"about": f"{found.about} at {found.address}", "warnings": warnings}
