"""Serving check: the RayService fits its pods, and the settings that it will find there."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import yaml

from cluster.checks.config import findings, unknown_variables
from cluster.kubernetes.kustomize import Manifest
from cluster.kubernetes.pods import Fault, Pods, pods_of
from cluster.kubernetes.references import keys_of

_NOTICE_S: Final = 30
"""Beyond the deployments' own grace: what it takes to say that the pod goes, and Ray to tell them."""
_SERVES_GRACE_S: Final = 20
_DEFAULT_CPUS: Final = 0.2
"""Of a deployment whose actor options are the program's own."""
_FOREIGN: Final = ("AWS_", "HF_", "OTEL_", "RAY_SERVE_")


@dataclass(frozen=True, slots=True)
class PodGroupPlace:
    """Resources that a replica of a deployment asks for."""

    name: str
    selector: Mapping[str, str]
    cpus: float
    gpus: float
    most: int
    """So many replicas at most."""
    grace_s: float


@dataclass(frozen=True, slots=True)
class Group:
    """A group of worker pods, as Ray will see their nodes."""

    name: str
    labels: Mapping[str, str]
    cpus: float
    gpus: float
    least: int
    most: int


def faults(manifests: Sequence[Manifest], secrets: Mapping[str, frozenset[str]]) -> Iterator[Fault]:
    for service in (m for m in manifests if m["kind"] == "RayService"):
        cluster, profile = (
            service["spec"]["rayClusterConfig"],
            yaml.safe_load(service["spec"]["serveConfigV2"]),
        )
        wrong = findings(profile)
        yield from (Fault("serveConfigV2", str(finding)) for finding in wrong)
        if wrong:
            continue
        groups = [_group(group) for group in cluster["workerGroupSpecs"]]
        places = _places(profile["applications"][0])
        yield from _fits(places, groups)
        pods = [one for one in pods_of(manifests) if one.owner.startswith("RayService/")]
        yield from _patience(places, pods)
        yield from _environment(pods, {**keys_of(manifests, "ConfigMap"), **secrets})
        if cluster["headGroupSpec"]["rayStartParams"].get("num-cpus") != "0":
            yield Fault("RayService head", "num-cpus must be 0: nothing of ours may run on the head")
        if profile["http_options"].get("host") != "0.0.0.0":
            yield Fault("serveConfigV2", "http_options.host must be 0.0.0.0, or no other pod reaches it")


def _group(said: Mapping[str, Any]) -> Group:
    start = said["rayStartParams"]
    return Group(
        said["groupName"],
        said.get("labels", {}),
        float(start["num-cpus"]),
        float(start.get("num-gpus", 0)),
        said["minReplicas"],
        said["maxReplicas"],
    )


def _places(application: Mapping[str, Any]) -> list[PodGroupPlace]:
    """Returns each deployment's resources: from its own options, or among the settings under `placement`."""
    placement = (application.get("args") or {}).get("placement") or {}
    found = []
    for deployment in application["deployments"]:
        field = re.sub(r"(?<!^)(?=[A-Z])", "_", deployment["name"]).lower()
        options = {**(deployment.get("ray_actor_options") or {}), **(placement.get(field) or {})}
        selector = options.get("label_selector") or ({"pool": options["pool"]} if options.get("pool") else {})
        scaling = deployment.get("autoscaling_config") or {}
        found.append(
            PodGroupPlace(
                deployment["name"],
                selector,
                float(options.get("num_cpus", _DEFAULT_CPUS)),
                float(options.get("num_gpus", 0)),
                int(scaling.get("max_replicas") or deployment.get("num_replicas") or 1),
                float(deployment.get("graceful_shutdown_timeout_s") or _SERVES_GRACE_S),
            )
        )
    return found


def _fits(places: Iterable[PodGroupPlace], groups: Sequence[Group]) -> Iterator[Fault]:
    """Each replica fits one node, and all of them, at their most, the nodes that there can be."""
    asked: dict[str, tuple[float, float]] = {}
    for place in places:
        fitting = [
            group
            for group in groups
            if place.selector.items() <= group.labels.items()
            and place.cpus <= group.cpus
            and place.gpus <= group.gpus
        ]
        if not fitting:
            wants = f"{place.cpus:g} CPUs, {place.gpus:g} GPUs and {dict(place.selector)}"
            yield Fault(place.name, f"no group of pods has {wants}")
            continue
        cpus, gpus = asked.get(fitting[0].name, (0.0, 0.0))
        asked[fitting[0].name] = (cpus + place.cpus * place.most, gpus + place.gpus * place.most)
    for group in groups:
        cpus, gpus = asked.get(group.name, (0.0, 0.0))
        if cpus > group.cpus * group.most or gpus > group.gpus * group.most:
            wants = f"the {cpus:g} CPUs and {gpus:g} GPUs that the profile may want"
            yield Fault(f"RayService {group.name}", f"{group.most} pods have not {wants}")


def _patience(places: Iterable[PodGroupPlace], pods: Iterable[Pods]) -> Iterator[Fault]:
    """Kubernetes waits for a pod longer than Serve does for what runs in it."""
    longest: dict[str, float] = {}
    for place in places:
        pool = place.selector.get("pool", "gateway")
        longest[pool] = max(longest.get(pool, 0), place.grace_s)
    for one in pods:
        patience = one.spec.get("terminationGracePeriodSeconds", 30)
        if patience < longest.get(one.component, 0) + _NOTICE_S:
            wants = f"{longest[one.component]:g} s of draining"
            yield Fault(one.owner, f"{patience} s of grace are too few for {wants}")


def _environment(pods: Sequence[Pods], known: Mapping[str, frozenset[str]]) -> Iterator[Fault]:
    """The same variables everywhere, each a setting: the application is built in any of the pods."""
    for one in pods:
        container = one.spec["containers"][0]
        if container.get("envFrom") != pods[0].spec["containers"][0].get("envFrom"):
            yield Fault(one.owner, "it has other settings than the head")
        if one.spec.get("enableServiceLinks") is not False:
            yield Fault(one.owner, "enableServiceLinks brings it RHAPSODE_* variables that are no settings")
    container = pods[0].spec["containers"][0]
    names = {source["name"] for entry in container.get("envFrom", []) for source in entry.values()}
    variables = {key for name in names for key in known.get(name, ())}
    for finding in unknown_variables(dict.fromkeys(variables, "")):
        yield Fault("environment", str(finding))
    for key in sorted(variables):
        if not key.startswith(("RHAPSODE_", *_FOREIGN)):
            yield Fault("environment", f"{key}: nobody reads it")
