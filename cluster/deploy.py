"""`rhapsode deploy`: a checked configuration onto a Ray cluster that runs already."""

import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from cluster.console import Steps
from cluster.problems import MISUSED, CliError

_ADDRESS: Final = re.compile(r"auto|(ray://)?[^\s/]+:\d{1,5}")
_PATIENCE_S: Final = 600.0
"""A model may have to come over the network first."""


def run(file: Path, address: str, steps: Steps) -> None:
    """Check `file`, deploy it at the Ray cluster of `address`, and wait until everything is healthy.

    Deploying again changes what has changed, one replica after the other. The cluster stays as it is.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray
    from ray import serve

    from cluster import ray_host
    from cluster.config import load
    from cluster.placement import cards_needed, pools

    if not _ADDRESS.fullmatch(address):
        raise CliError(f"--address {address!r} is no address.", "Write HOST:PORT, or auto.", status=MISUSED)
    with steps.step("Configuration") as note:
        config = load(file)
        note(f"{config.settings.profile} ({file})")
    with steps.step("Cluster") as note:
        try:
            ray.init(address=address, namespace="serve", log_to_driver=False, logging_level=logging.ERROR)
        except Exception as error:  # Ray raises of many kinds when nobody answers
            raise CliError(f"There is no Ray cluster at {address}: {error}", "See: ray status") from error
        nodes = [node for node in ray.nodes() if node["Alive"]]
        missing = pools(config.settings) - {node.get("Labels", {}).get("pool", "") for node in nodes}
        if missing:
            advice = "Label nodes: ray start --labels pool=NAME"
            raise CliError(f"No node is of the pool {', '.join(sorted(missing))}.", advice)
        cards = _total(ray.cluster_resources(), "GPU")
        if cards < cards_needed(config.settings):
            raise CliError(f"{cards_needed(config.settings)} GPUs are wanted, the cluster has {cards:g}.")
        note(f"{len(nodes)} nodes, {cards:g} GPUs")
    try:
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


def _total(resources: Mapping[str, float], name: str) -> float:
    return resources.get(name, 0.0)
