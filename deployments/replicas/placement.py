"""Deployments with the place that the settings give them; the environment stays the program's."""

from collections.abc import Mapping
from typing import Any

from ray.serve import Application, Deployment
from ray.serve.handle import DeploymentHandle

from schemas.settings.placement_settings import Place, PlacementSettings


def placed(deployment: Deployment, placement: PlacementSettings) -> Deployment:
    """The deployment with its place in `ray_actor_options`."""
    options = at(deployment.ray_actor_options or {}, placement.of(deployment.name))
    return deployment.options(ray_actor_options=options)


def at(options: Mapping[str, Any], place: Place) -> dict[str, Any]:
    """Ray's options for an actor at this place; what the place leaves open stays."""
    wished = {
        "num_cpus": place.num_cpus,
        "num_gpus": place.num_gpus,
        "memory": None if place.memory_mb is None else place.memory_mb * 1024 * 1024,
        "accelerator_type": place.accelerator,
        "label_selector": None if place.pool is None else {"pool": place.pool},
    }
    return {**options, **{name: value for name, value in wished.items() if value is not None}}


def bound(
    deployment: Deployment, placement: PlacementSettings, first: Application, *arguments: Any
) -> Application:
    """Bind a placed deployment; where the settings say so, it waits for `first` before it loads anything."""
    here = placed(deployment, placement)
    if not placement.of(deployment.name).after_language_model:
        return here.bind(*arguments)
    return here.options(func_or_class=_patient(here.func_or_class)).bind(first, *arguments)


def _patient(replica: Any) -> Any:
    """A replica whose constructor first waits until `first` has answered."""

    class Patient(replica):  # type: ignore[misc]
        async def __init__(self, first: DeploymentHandle[Any], *arguments: Any) -> None:  # type: ignore[misc]
            await first.options(method_name="ready", _by_reference=False).remote()
            await super().__init__(*arguments)

    Patient.__name__ = Patient.__qualname__ = replica.__name__
    return Patient
