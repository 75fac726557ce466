"""From settings to a Serve application: every `.bind()` is here."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from ray import serve
from ray.serve import Application

from deployments.app_settings import load_settings
from deployments.replicas.gateway import Gateway
from deployments.replicas.language_model import LanguageModelReplica
from deployments.replicas.placement import bound, placed
from deployments.replicas.quality_speech_to_text import QualitySpeechToTextReplica
from deployments.replicas.retrieval import RetrievalReplica
from deployments.replicas.speech_to_text import SpeechToTextReplica
from deployments.replicas.text_to_speech import TextToSpeechReplica
from deployments.replicas.vllm_language_model import VllmLanguageModelReplica
from deployments.replicas.workers import WorkersReplica
from pipeline.auth.authenticator import is_loopback, is_open
from pipeline.engines.llm.vllm import vllm_environment
from pipeline.engines.speech_environment import voice_python, whisperx_python
from pipeline.engines.stt.whisper_weights import is_on_hub
from schemas.settings import AppSettings

APPLICATION: Final = "rhapsode"
_ENGINE_ENVIRONMENT: Final = {
    # Idle OpenMP threads must sleep, not spin: on shared cores spinning costs a factor of ten and more.
    "OMP_WAIT_POLICY": "PASSIVE",
    "OMP_NUM_THREADS": "1",
}

_GATEWAY_ENVIRONMENT: Final = {
    # Nothing in the gateway blocks its loop, so requests need no threads of their own between them:
    # this halves the time of a delta from engine to socket.
    "RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD": "0",
    "RAY_SERVE_RUN_ROUTER_IN_SEPARATE_LOOP": "0",
    "RAY_SERVE_REQUEST_PATH_LOG_BUFFER_SIZE": "1000",
    # Else whoever asks an engine after ten seconds of rest first asks it how much it has to do, and waits for
    # that while another engine has every core; a full replica refuses by itself (docs/adr/0154).
    "RAY_SERVE_QUEUE_LENGTH_CACHE_TIMEOUT_S": "120",
}
_FAREWELL_SLACK_S: Final = 2.0
"""Beyond what a gateway gives those who are with it, before Serve ends it."""


def _refuse_exposure(settings: AppSettings) -> None:
    """Raises ValueError. Behind Serve's own proxy, whose address we do not know, the auth
    middleware looks at peers."""
    gateway = settings.gateway
    exposed = gateway.direct_port is not None and not is_loopback(gateway.direct_host)
    if exposed and is_open(settings.auth, settings.home):
        raise ValueError(f"{gateway.direct_host} can be reached from other machines, and there is no API key")


def build(args: AppSettings) -> Application:
    """The application: one gateway in front of the engines. serve_config.yaml places the parts."""
    settings = load_settings(args.model_dump(exclude_unset=True))
    _refuse_exposure(settings)
    text_to_speech = serve.deployment(
        name="TextToSpeech",
        max_ongoing_requests=settings.text_to_speech.streams * 4,
        max_queued_requests=settings.text_to_speech.streams * 16,
        ray_actor_options=_engine_actor(voice_python(settings.text_to_speech), cpus=0.3),
        graceful_shutdown_timeout_s=5,
    )(TextToSpeechReplica)
    place = settings.placement
    writer = _mind(settings)
    speech_to_text, quality_speech_to_text = _speech_to_text(settings, writer)
    workers = serve.deployment(
        name="Workers",
        ray_actor_options={"num_cpus": 0.1},
        health_check_period_s=5,
        health_check_timeout_s=15,
        graceful_shutdown_wait_loop_s=0.2,
        graceful_shutdown_timeout_s=5,
    )(WorkersReplica)
    gateway = serve.deployment(
        name="Gateway",
        max_ongoing_requests=1_000,
        max_queued_requests=100,
        ray_actor_options={"num_cpus": 0.3, "runtime_env": {"env_vars": _GATEWAY_ENVIRONMENT}},
        graceful_shutdown_wait_loop_s=0.2,
        graceful_shutdown_timeout_s=settings.gateway.leaving.longest_s + _FAREWELL_SLACK_S,
        max_surge_percent=50,
    )(Gateway)
    return placed(gateway, place).bind(
        settings,
        writer,
        bound(text_to_speech, place, writer, settings.text_to_speech, settings.cache, settings.telemetry),
        speech_to_text,
        quality_speech_to_text,
        _retrieval(settings),
        placed(workers, place).bind(settings),
    )


def _mind(settings: AppSettings) -> Application:
    """Binds the language model. vLLM takes a fixed number of requests; others queue some themselves."""
    model = settings.language_model
    python = vllm_environment.vllm_python(model)
    exact = python is not None and not model.providers  # requests to providers take no room of vLLM's
    own = None if python is None else {**vllm_environment.ENVIRONMENT, "OMP_NUM_THREADS": str(model.threads)}
    deployment = serve.deployment(
        name="LanguageModel",
        max_ongoing_requests=model.slots + vllm_environment.SPARE if exact else model.slots * 4,
        max_queued_requests=model.slots * 8,
        ray_actor_options=_engine_actor(python, hub=vllm_environment.is_on_hub(model), own=own),
        health_check_period_s=10 if python is None else 2,
        graceful_shutdown_timeout_s=5,
    )(LanguageModelReplica if python is None else VllmLanguageModelReplica)
    return placed(deployment, settings.placement).bind(model, settings.cache, settings.telemetry)


def _speech_to_text(settings: AppSettings, writer: Application) -> tuple[Application, Application]:
    """Those of the realtime and of the quality way."""
    realtime, quality = settings.speech_to_text, settings.quality_speech_to_text
    realtime_replicas = serve.deployment(
        name="SpeechToText",
        max_ongoing_requests=realtime.workers + realtime.queued + 1,
        max_queued_requests=realtime.queued,
        ray_actor_options=_engine_actor(),
        graceful_shutdown_timeout_s=5,
    )(SpeechToTextReplica)
    python = whisperx_python(quality)
    whole = serve.deployment(
        name="QualitySpeechToText",
        max_ongoing_requests=quality.batch + quality.queued + 1,
        max_queued_requests=quality.queued,
        ray_actor_options=_engine_actor(python, hub=is_on_hub(quality)),
        graceful_shutdown_timeout_s=5,
    )(SpeechToTextReplica if python is None else QualitySpeechToTextReplica)
    place, telemetry = settings.placement, settings.telemetry
    return (
        bound(realtime_replicas, place, writer, realtime, settings.cache, telemetry),
        bound(whole, place, writer, quality, settings.cache, telemetry),
    )


def _retrieval(settings: AppSettings) -> Application:
    """Reads documents in processes of its own; several replicas may share the store."""
    retrieval = serve.deployment(
        name="Librarian",
        max_ongoing_requests=64,
        max_queued_requests=256,
        ray_actor_options=_engine_actor(cpus=0.1),
        health_check_period_s=5,
        health_check_timeout_s=15,
        graceful_shutdown_timeout_s=5,
    )(RetrievalReplica)
    bind = placed(retrieval, settings.placement).bind
    return bind(settings.retrieval, settings.home, settings.telemetry)


def _engine_actor(
    python: Path | None = None, *, hub: bool = False, cpus: float = 0.2, own: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Ray options of an engine's actor; `python`: the interpreter of its own environment.

    `hub`: it may ask the Hugging Face hub for its model. `own`: variables that only this engine has.
    """
    offline = {"HF_HUB_OFFLINE": "0" if hub else "1"}
    environment: dict[str, Any] = {"env_vars": {**_ENGINE_ENVIRONMENT, **offline, **(own or {})}}
    if python is not None:
        environment["py_executable"] = str(python)
    return {"num_cpus": cpus, "runtime_env": environment}
