"""OpenTelemetry's own variables, as settings of ours: whoever runs many programs sets them for all."""

import logging
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

log = logging.getLogger(__name__)

_PROTOCOL: Final = "http/protobuf"
_RATIOS: Final = {"always_on": 1.0, "always_off": 0.0}


def tracing(environment: Mapping[str, str]) -> dict[str, Any]:
    """Reads the variables for traces as values for `TracingSettings`; an address switches tracing on.

    Queue sizes and delays (OTEL_BSP_*), certificates, compression and OTEL_RESOURCE_ATTRIBUTES are read by
    OpenTelemetry itself.
    """
    if _first(environment, "OTEL_SDK_DISABLED").lower() == "true":
        return {"enabled": False}
    said = _destination(environment)
    if headers := _first(environment, "OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"):
        said["headers"] = _pairs(headers)
    if service := _first(environment, "OTEL_SERVICE_NAME"):
        said["service"] = service
    return said | _ratio(environment)


def _destination(environment: Mapping[str, str]) -> dict[str, Any]:
    if _first(environment, "OTEL_TRACES_EXPORTER").lower() == "none":
        return {"enabled": False}
    base = _first(environment, "OTEL_EXPORTER_OTLP_ENDPOINT")
    url = _first(environment, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    if not url and base:
        url = base.rstrip("/") + "/v1/traces"
    if not url:
        return {}
    protocol = _first(environment, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
    if protocol not in ("", _PROTOCOL):
        log.warning("OTEL_EXPORTER_OTLP_PROTOCOL is not %s, which is all that we speak: no traces", _PROTOCOL)
        return {}
    return {"enabled": True, "endpoint": url}


def _ratio(environment: Mapping[str, str]) -> dict[str, Any]:
    sampler = _first(environment, "OTEL_TRACES_SAMPLER").lower().removeprefix("parentbased_")
    if sampler in _RATIOS:
        return {"sample_ratio": _RATIOS[sampler]}
    if sampler == "traceidratio":
        return {"sample_ratio": _first(environment, "OTEL_TRACES_SAMPLER_ARG") or 1.0}
    return {}


def _pairs(text: str) -> dict[str, str]:
    """`key=value,key=value`, percent-encoded."""
    pairs = (one.partition("=") for one in text.split(",") if "=" in one)
    return {unquote(name).strip(): unquote(value).strip() for name, _, value in pairs}


def _first(environment: Mapping[str, str], *names: str) -> str:
    """The first of these variables that says anything."""
    return next((value for name in names if (value := environment.get(name, "").strip())), "")
