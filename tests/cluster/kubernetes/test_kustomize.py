"""Our renderer does what kustomize does, or says that it cannot."""

from pathlib import Path

import pytest
import yaml

from cluster.kubernetes.kustomize import Unrenderable, render

HEAD = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"
THING = """
apiVersion: v1
kind: ConfigMap
metadata: {name: thing}
data: {a: "1", b: "2"}
"""


def test_patches_change_what_they_name(tmp_path: Path) -> None:
    (tmp_path / "thing.yaml").write_text(THING)
    (tmp_path / "kustomization.yaml").write_text(
        HEAD
        + """
namespace: somewhere
resources: [thing.yaml]
patches:
- patch: |
    kind: ConfigMap
    metadata: {name: thing}
    data: {a: "3", b: null}
- target: {kind: ConfigMap, name: thing}
  patch: |
    - {op: add, path: /data/x~1y, value: "4"}
"""
    )
    assert [thing["data"] for thing in render(tmp_path)] == [{"a": "3", "x/y": "4"}]
    assert render(tmp_path)[0]["metadata"]["namespace"] == "somewhere"


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("commonLabels: {a: b}", "does not know commonLabels"),
        ("resources: [gone.yaml]", "gone.yaml"),
        ("resources: [thing.yaml, thing.yaml]", "twice there: ConfigMap/thing"),
        ("patches: [{patch: '[{op: remove, path: /data/c}]', target: {kind: ConfigMap}}]", "no such place"),
        ("patches: [{patch: '[{op: test, path: /data/a}]', target: {kind: ConfigMap}}]", "unknown operation"),
        ("patches: [{patch: '{kind: Pod, metadata: {name: thing}}'}]", "nothing that it fits"),
        ("patches: [{patch: '{kind: ConfigMap, metadata: {name: thing}, data: {a: [1]}}'}]", "is a list"),
        ("patches: [{patch: '[]', target: {labelSelector: a=b}}]", "not by labelSelector"),
        ("configMapGenerator: [{name: x, literals: [a=b]}]", "nothing else"),
        ("images: [{name: x, newSuffix: y}]", "unknown newSuffix"),
    ],
)
def test_the_renderer_refuses_fields_that_it_does_not_know(said: str, why: str, tmp_path: Path) -> None:
    (tmp_path / "thing.yaml").write_text(THING)
    told = {"resources": ["thing.yaml"], **yaml.safe_load(said)}
    (tmp_path / "kustomization.yaml").write_text(HEAD + yaml.safe_dump(told))
    with pytest.raises(Unrenderable, match=why):
        render(tmp_path)
