"""The pods that the objects of an overlay stand for, whatever kind makes them, and faults of objects."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cluster.kubernetes.kustomize import Manifest, named

COMPONENT: Final = "app.kubernetes.io/component"
_TEMPLATED: Final = ("Deployment", "StatefulSet", "DaemonSet", "Job")


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong."""

    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


@dataclass(frozen=True, slots=True)
class Pods:
    """Pods that one template makes."""

    owner: str
    """The object that it stands in, as StatefulSet/log; of a RayService also which group."""
    labels: Mapping[str, str]
    spec: Mapping[str, Any]
    claims: frozenset[str] = frozenset()
    """Volumes that its owner claims for each pod."""

    @property
    def component(self) -> str:
        return self.labels.get(COMPONENT, "")

    @property
    def containers(self) -> list[dict[str, Any]]:
        return [*self.spec.get("initContainers", []), *self.spec["containers"]]

    @property
    def ports(self) -> dict[str, int]:
        """Those that have names."""
        found = [port for container in self.containers for port in container.get("ports", [])]
        return {port["name"]: port["containerPort"] for port in found if "name" in port}


def pods_of(manifests: Sequence[Manifest]) -> list[Pods]:
    return [pods for manifest in manifests for pods in _pods(manifest)]


def _pods(manifest: Manifest) -> Iterator[Pods]:
    name = named(manifest)
    if manifest["kind"] in _TEMPLATED:
        claims = manifest["spec"].get("volumeClaimTemplates", [])
        template = manifest["spec"]["template"]
        names = frozenset(claim["metadata"]["name"] for claim in claims)
        yield Pods(name, template["metadata"]["labels"], template["spec"], names)
    elif manifest["kind"] == "RayService":
        cluster = manifest["spec"]["rayClusterConfig"]
        yield _ray(f"{name} head", cluster["headGroupSpec"])
        for group in cluster.get("workerGroupSpecs", []):
            yield _ray(f"{name} {group['groupName']}", group)


def _ray(owner: str, group: Mapping[str, Any]) -> Pods:
    """KubeRay gives the pods the group's Ray labels as well."""
    template = group["template"]
    return Pods(owner, {**template["metadata"]["labels"], **group.get("labels", {})}, template["spec"])


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """A LabelSelector, or the plain mapping of a Service; an empty one selects everything."""
    if not selector.keys() & {"matchLabels", "matchExpressions"}:
        return selector.items() <= labels.items()
    if not selector.get("matchLabels", {}).items() <= labels.items():
        return False
    return all(_holds(expression, labels) for expression in selector.get("matchExpressions", []))


def _holds(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, operator, values = expression["key"], expression["operator"], expression.get("values", [])
    match operator:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
    raise ValueError(f"there is no operator {operator}")
