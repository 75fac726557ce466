"""The language model's replica in vLLM's environment: its health is the engine's, its figures go to Ray."""

from pathlib import Path

from deployments.replicas.language_model import LanguageModelReplica
from deployments.rpc.replica_telemetry import SILENT, Telemetry
from schemas.settings import LanguageModelSettings
from schemas.settings.telemetry_settings import TelemetrySettings


class VllmLanguageModelReplica(LanguageModelReplica):
    """Answers as its parent. Ready means: the adapters are loaded, and it has answered once."""

    async def __init__(  # type: ignore[misc]
        self, settings: LanguageModelSettings, cache: Path, telemetry: TelemetrySettings = SILENT
    ) -> None:
        self.telemetry = Telemetry(telemetry, "LanguageModel")
        # Only here: the application is built where there is no vLLM.
        from vllm.v1.metrics.ray_wrappers import RayPrometheusStatLogger

        from pipeline.engines.llm.vllm.vllm_engine import build

        self._vllm = build(settings, cache, [RayPrometheusStatLogger])
        await self._vllm.load_adapters()
        await self._begin(self._vllm, settings)

    async def open_streams(self) -> int:
        """Requests that the engine works on, or that wait for it."""
        return self._vllm.open_streams
