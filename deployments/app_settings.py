"""The application's settings, from a configuration file and the environment. No deployment is imported."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from deployments.observability import otel_variables
from pipeline.engines.weights import chosen_models
from schemas.settings import AppSettings


class _Environment(AppSettings, BaseSettings):
    """AppSettings with RHAPSODE_* variables on top: RHAPSODE_LANGUAGE_MODEL__THREADS=4."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix="RHAPSODE_",
        env_nested_delimiter="__",
        env_parse_none_str="null",  # no setting means these four letters
        hide_input_in_errors=True,  # a password may be among it
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, init_settings


def load_settings(given: Mapping[str, Any] | None = None) -> AppSettings:
    """The settings of a configuration file's `args`, with the chosen models and the environment on top.

    REDIS_URL stands for RHAPSODE_LOG__URL, and OTEL_* for what they say of traces. Raises
    pydantic.ValidationError naming the wrong field.
    """
    values = dict(given or {})
    url = os.environ.get("REDIS_URL")
    if url and "RHAPSODE_LOG__URL" not in os.environ:
        values["log"] = {**values.get("log", {}), "url": url}
    if tracing := otel_variables.tracing(os.environ):
        values["tracing"] = {**values.get("tracing", {}), **tracing}
    overlaid = chosen_models.overlaid(values, folder("home", values), folder("cache", values))
    merged = _Environment(**overlaid)
    settings = AppSettings.model_validate(merged.model_dump())
    return settings.model_copy(
        update={"cache": settings.cache.expanduser(), "home": settings.home.expanduser()}
    )


def folder(name: Literal["home", "cache"], values: Mapping[str, Any]) -> Path:
    """The home or the cache of a configuration file's `args`, before all settings are known."""
    default: Path = AppSettings.model_fields[name].default
    given = os.environ.get(f"RHAPSODE_{name.upper()}") or values.get(name) or default
    return Path(given).expanduser()
