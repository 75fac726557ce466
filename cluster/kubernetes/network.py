"""Network check: the policies let through all needed connections, and none that is forbidden."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cluster.kubernetes.kustomize import Manifest
from cluster.kubernetes.pods import Fault, pods_of, selects

OURS: Final = "rhapsode"
RAY: Final = ("head", "gateway", "llm", "speech")


@dataclass(frozen=True, slots=True)
class NetworkPeer:
    """One end of a connection: a pod in a namespace, or the world outside."""

    name: str
    labels: Mapping[str, str]
    namespace: str

    @property
    def place(self) -> Mapping[str, str]:
        return {"kubernetes.io/metadata.name": self.namespace}


OPERATOR: Final = NetworkPeer("KubeRay", {"app.kubernetes.io/name": "kuberay-operator"}, "kuberay-system")
IMPOSTOR: Final = NetworkPeer("a pod with KubeRay's label elsewhere", OPERATOR.labels, "default")
NAMES: Final = NetworkPeer("the name server", {"k8s-app": "kube-dns"}, "kube-system")
INGRESS: Final = NetworkPeer("the ingress", {"app.kubernetes.io/name": "ingress-nginx"}, "ingress-nginx")
PROMETHEUS: Final = NetworkPeer("Prometheus", {"app.kubernetes.io/name": "prometheus"}, "monitoring")
STRANGER: Final = NetworkPeer("a stranger", {}, "default")

# From, to, port. A rule counts where both ends are in the overlay.
_NEEDED: Final = (
    *((one, other, port) for one in RAY for other in RAY for port in (6379, 8000, 30000)),
    ("head", "gcs", 6379),
    ("gateway", "log", 6379),
    ("gateway", "documents", 5432),
    ("gateway", "archive", 8333),
    ("archive-bucket", "archive", 8333),
    ("log-join", "log", 6379),
)
_FORBIDDEN: Final = (
    *((one, "gcs", 6379) for one in ("gateway", "llm", "speech", "log", "documents", "archive")),
    *((one, "log", 6379) for one in ("llm", "speech", "documents", "archive", "gcs")),
    *((one, "documents", 5432) for one in ("llm", "speech", "log", "archive", "gcs")),
    *((one, "head", 8265) for one in ("log", "documents", "archive", "gcs", "log-join")),
)


def faults(manifests: Sequence[Manifest]) -> Iterator[Fault]:
    policies = [m["spec"] for m in manifests if m["kind"] == "NetworkPolicy"]
    ends = {one.component: NetworkPeer(one.component, one.labels, OURS) for one in pods_of(manifests)}
    for one in ends.values():
        if not passes(policies, one, NAMES, 53, "UDP"):
            yield Fault("NetworkPolicy", f"{one.name} cannot ask for names")
    for source, target, port, wanted in _rules(ends, {m["kind"] for m in manifests}):
        if passes(policies, source, target, port) is not wanted:
            verb = "cannot reach" if wanted else "can reach"
            yield Fault("NetworkPolicy", f"{source.name} {verb} {target.name}:{port}")


def _rules(
    ends: Mapping[str, NetworkPeer], kinds: set[str]
) -> Iterator[tuple[NetworkPeer, NetworkPeer, int, bool]]:
    for rules, wanted in ((_NEEDED, True), (_FORBIDDEN, False)):
        for source, target, port in rules:
            if source in ends and target in ends:
                yield ends[source], ends[target], port, wanted
    if {"log", "log-join"} <= ends.keys():
        yield ends["log"], ends["log"], 16379, True
    yield OPERATOR, ends["head"], 8265, True
    yield OPERATOR, ends["gateway"], 8000, True
    yield IMPOSTOR, ends["head"], 8265, False
    yield IMPOSTOR, ends["gateway"], 8000, False
    yield INGRESS, ends["gateway"], 8000, "Ingress" in kinds
    yield PROMETHEUS, ends["head"], 8080, "PodMonitor" in kinds
    yield PROMETHEUS, ends["gateway"], 8080, "PodMonitor" in kinds
    for name, end in ends.items():
        for port in (6379, 8000, 8080, 8265, 10001):
            yield STRANGER, end, port, False
        yield end, STRANGER, 80, False
        yield end, STRANGER, 6443, name == "head"


def passes(
    policies: Sequence[Mapping[str, Any]],
    source: NetworkPeer,
    target: NetworkPeer,
    port: int,
    protocol: str = "TCP",
) -> bool:
    """Whether a connection is let out at its one end and in at its other, by what is in our namespace."""
    wanted = (port, protocol)
    return _allowed(policies, "Egress", source, target, wanted) and _allowed(
        policies, "Ingress", target, source, wanted
    )


def _allowed(
    policies: Sequence[Mapping[str, Any]],
    way: str,
    here: NetworkPeer,
    there: NetworkPeer,
    wanted: tuple[int, str],
) -> bool:
    if here.namespace != OURS:
        return True
    field, peers = way.lower(), {"Ingress": "from", "Egress": "to"}[way]
    meant = [p for p in policies if way in p["policyTypes"] and selects(p["podSelector"], here.labels)]
    rules = [rule for policy in meant for rule in policy.get(field, [])]
    return not meant or any(_ports(rule, wanted) and _peers(rule.get(peers), there) for rule in rules)


def _ports(rule: Mapping[str, Any], wanted: tuple[int, str]) -> bool:
    ports = rule.get("ports")
    return ports is None or any((port["port"], port.get("protocol", "TCP")) == wanted for port in ports)


def _peers(peers: Sequence[Mapping[str, Any]] | None, there: NetworkPeer) -> bool:
    """No list of peers means everybody."""
    return peers is None or any(_peer(peer, there) for peer in peers)


def _peer(peer: Mapping[str, Any], there: NetworkPeer) -> bool:
    if "ipBlock" in peer:
        return False
    namespaces = peer.get("namespaceSelector")
    near = there.namespace == OURS if namespaces is None else selects(namespaces, there.place)
    return near and selects(peer.get("podSelector", {}), there.labels)
