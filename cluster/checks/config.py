"""Reads a serve_config.yaml strictly: Ray ignores keys that it does not know, we name them."""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, TypeVar, get_args, get_origin

import fsspec
import yaml
from pydantic import BaseModel, ValidationError
from ray.serve.schema import ServeDeploySchema

from cluster.checks.placement_check import Trouble, failures
from cluster.terminal import run_state
from cluster.terminal.cli_errors import UsageError
from cluster.terminal.run_state import KEY
from deployments.app_settings import folder, load_settings
from pipeline.engines import registry
from pipeline.tts.pronunciations import check_entries
from schemas.errors import InputError
from schemas.settings import AppSettings
from schemas.settings.telemetry_settings import LoggingSettings

T = TypeVar("T")
IMPORT_PATH: Final = "deployments.app:build"
DEPLOYMENTS: Final = (
    "Gateway",
    "LanguageModel",
    "TextToSpeech",
    "SpeechToText",
    "QualitySpeechToText",
    "Librarian",
    "Workers",
)
PREFIX: Final = "RHAPSODE_"
_LAST_PORT: Final = 65_535
_OF_A_SERVICE: Final = re.compile(r"_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_\w+)?)$")
"""Kubernetes tells every pod of the services beside it in variables that are named after them."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, and where."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


@dataclass(frozen=True, slots=True)
class Config:
    """A file that passed every check."""

    file: Path
    serve: ServeDeploySchema
    settings: AppSettings
    """The application's `args` with the environment on top."""

    @property
    def application(self) -> str:
        name: str = self.serve.applications[0].name
        return name


def default_file() -> Path:
    """./serve_config.yaml, or else the one that the code came with."""
    here = Path("serve_config.yaml")
    return here if here.is_file() else (Path(__file__).parents[1] / "serve_config.yaml").resolve()


def current(file: Path | None = None) -> Config:
    """The configuration of the system that runs in this home, else the one that it would start with.

    `file` stands for the file of either. Raises CliError.
    """
    return _in_effect(load, file)


def cache() -> Path:
    """Folder of prepared and downloaded models of that configuration, whose models need not be there yet.

    Raises CliError.
    """
    return _in_effect(lambda file: folder("cache", _read(file)["applications"][0].get("args") or {}))


def _in_effect(read: Callable[[Path], T], file: Path | None = None) -> T:
    run = run_state.running(run_state.home())
    if run is None:
        return read(file or default_file())
    with run_state.environment_of(run):
        return read(file or (Path(run.config) if run.config else default_file()))


def load(file: Path) -> Config:
    """Raises CliError with every finding if there is one."""
    if unknown := unknown_variables(os.environ):
        message = "\n".join(str(finding) for finding in unknown)
        raise UsageError(message, "Correct or unset it.")
    raw = _read(file)
    try:
        settings = load_settings(raw["applications"][0].get("args") or {})
    except ValidationError as error:  # the file is fine, so it is a variable
        names = [PREFIX + "__".join(str(part).upper() for part in e["loc"]) for e in error.errors()]
        message = error.errors()[0]["msg"]
        raise UsageError(f"{', '.join(names)}: {message}", "Correct or unset it.") from error
    if clashes := list(_does_not_go_with(settings, raw)):
        lines = "\n".join(f"  {clash}" for clash in clashes)
        advice = f"Correct one of them: the file or the {PREFIX}* variables."
        raise UsageError(f"{file} does not go with the environment:\n{lines}", advice)
    return Config(file, ServeDeploySchema.model_validate(_alike(raw, settings.logging)), settings)


def _read(file: Path) -> dict[str, Any]:
    """The parsed file. Raises CliError with every finding."""
    raw = _parse(file)
    if found := findings(raw):
        lines = "\n".join(f"  {finding}" for finding in found)
        raise UsageError(f"{file} is not right:\n{lines}", "Correct these lines and try again.")
    return dict(raw)


def _alike(raw: dict[str, Any], wished: LoggingSettings) -> dict[str, Any]:
    """With Serve's own lines in the format of ours."""
    given = raw.get("logging_config") or {}
    return {**raw, "logging_config": {**given, "encoding": "JSON"}} if wished.format == "json" else raw


def findings(raw: Any) -> list[Finding]:
    """Returns all faults of the parsed file; unknown keys first, values when the keys are right."""
    if not isinstance(raw, dict):
        return [Finding("", "the file must hold a mapping with the key applications")]
    return list(_unknown_keys(raw, ServeDeploySchema, "")) or list(_wrong_values(raw))


def unknown_variables(environment: Mapping[str, str]) -> list[Finding]:
    """RHAPSODE_* variables that mean nothing: pydantic-settings would not notice a misspelt first part."""
    found = []
    in_a_pod = "KUBERNETES_SERVICE_HOST" in environment
    for name in sorted(environment):
        if in_a_pod and _OF_A_SERVICE.search(name):
            continue
        first, _, rest = name.removeprefix(PREFIX).lower().partition("__")
        if name.startswith(PREFIX) and name != KEY and first not in AppSettings.model_fields:
            meant = nearest(first, AppSettings.model_fields)
            suffix = f"__{rest.upper()}" if rest else ""
            hint = f"; did you mean {PREFIX}{meant.upper()}{suffix}?" if meant else ""
            found.append(Finding(name, f"there is no such setting{hint}"))
    return found


def nearest(word: str, known: Mapping[str, Any] | tuple[str, ...]) -> str | None:
    return next(iter(get_close_matches(word, list(known), 1, 0.6)), None)


class _Loader(yaml.SafeLoader):
    """YAML in which a key that is there twice is a mistake, not a silent replacement."""


def _mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [loader.construct_object(key) for key, _ in node.value]
    for (key_node, _), key in zip(node.value, keys, strict=True):
        if keys.count(key) > 1:
            raise yaml.MarkedYAMLError(problem=f"{key} is there twice", problem_mark=key_node.start_mark)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def _parse(file: Path) -> Any:
    try:
        text = file.read_text(encoding="utf-8")
        return yaml.load(text, Loader=_Loader)
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}.", "Check the path.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        advice = "Correct it and try again."
        raise UsageError(f"{file} is not YAML: {' '.join(str(error).split())}", advice) from error
    except RecursionError as error:
        raise UsageError(f"{file} is nested too deeply.", "Correct it and try again.") from error


def _unknown_keys(raw: Any, model: type[BaseModel], path: str) -> Iterator[Finding]:
    """Keys of `raw` that `model`, or a model below it, has no field for."""
    if not isinstance(raw, dict):
        return  # the model says what is wrong with it
    aliased = {field.alias: field for field in model.model_fields.values() if field.alias}
    for key, value in raw.items():
        place = f"{path}.{key}" if path else str(key)
        field = model.model_fields.get(key) or aliased.get(key)
        if field is None:
            meant = nearest(str(key), model.model_fields)
            yield Finding(place, f"there is no such key{f'; did you mean {meant}?' if meant else ''}")
        elif place == "applications.0.args":
            yield from _unknown_keys(value or {}, AppSettings, place)
        elif (below := _model_in(field.annotation)) is not None:
            for name, item in _parts(value, field.annotation):
                if isinstance(item, dict):
                    yield from _unknown_keys(item, below, place if name is None else f"{place}.{name}")


def _parts(value: Any, annotation: Any) -> Iterable[tuple[Any, Any]]:
    """The values in a list or in a mapping of models, each with its place; or the value alone."""
    if get_origin(annotation) is dict and isinstance(value, dict):
        return value.items()
    return enumerate(value) if isinstance(value, list) else [(None, value)]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model that a field holds, be it optional, in a union or in a list."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part))), None)


def _wrong_values(raw: dict[str, Any]) -> Iterator[Finding]:
    misfits = list(_validated(ServeDeploySchema.model_validate, raw, ""))
    yield from misfits
    if misfits:
        return
    applications = raw.get("applications")
    if applications is None or len(applications) != 1:
        yield Finding("applications", "there must be exactly one")
        return
    application = applications[0]
    yield from _validated(AppSettings.model_validate, application.get("args") or {}, "applications.0.args")
    if application.get("import_path") != IMPORT_PATH:
        yield Finding("applications.0.import_path", f"must be {IMPORT_PATH}")
    for number, deployment in enumerate(application.get("deployments") or []):
        if (name := deployment.get("name")) not in DEPLOYMENTS:
            place = f"applications.0.deployments.{number}.name"
            yield Finding(place, f"there is no deployment {name!r}; there are {', '.join(DEPLOYMENTS)}")
        if name in (one.get("name") for one in application["deployments"][:number]):
            yield Finding(f"applications.0.deployments.{number}.name", f"{name} is there twice")
    prefix = application.get("route_prefix", "/")
    if not isinstance(prefix, str) or not prefix.startswith("/") or (prefix.endswith("/") and prefix != "/"):
        yield Finding("applications.0.route_prefix", 'must begin with "/" and not end with one, as / does')
    yield from _does_not_add_up(raw)
    listening = ServeDeploySchema.model_validate(raw).http_options
    if not 1 <= listening.port <= _LAST_PORT:
        yield Finding("http_options.port", f"must be between 1 and {_LAST_PORT}")
    if listening.request_timeout_s is not None:
        yield Finding("http_options.request_timeout_s", "must be null: it would cut every long listening")


def _does_not_add_up(raw: dict[str, Any]) -> Iterator[Finding]:
    """Asked only where the settings are right by themselves."""
    try:
        settings = AppSettings.model_validate(raw["applications"][0].get("args") or {})
    except ValidationError:
        return
    yield from _does_not_go_with(settings, raw)


def _does_not_go_with(settings: AppSettings, raw: dict[str, Any]) -> Iterator[Finding]:
    """Yields names without a target and contradictions; on several nodes each has its own files."""
    here = raw.get("proxy_location") != "EveryNode"
    deployments = raw["applications"][0].get("deployments") or []
    for path, message in (*unknown(settings, here=here), *failures(settings, deployments)):
        yield Finding(path, message)


def _validated(validate: Callable[[Any], Any], raw: Any, path: str) -> Iterator[Finding]:
    try:
        validate(raw)
    except ValidationError as error:
        for wrong in error.errors():
            place = ".".join(str(part) for part in (path, *wrong["loc"]) if part != "")
            yield Finding(place, wrong["msg"])


PROFILES: Final = ("laptop", "gpu", "small", "cluster")
"""Of the files that come with Rhapsode."""
_ARGS: Final = "applications.0.args"
_PORTS: Final = ("language_model", "text_to_speech", "speech_to_text", "quality_speech_to_text")
_FILES: Final[Mapping[str, tuple[str, ...]]] = {
    "language_model": ("model_path", "script"),
    "text_to_speech": ("voice_path", "model_path", "config_path", "speaker_wav", "script"),
    "speech_to_text": ("model_path", "partial_model_path", "script"),
    "quality_speech_to_text": ("script",),
}


def unknown(settings: AppSettings, *, here: bool) -> Iterator[Trouble]:
    """Yields names without a target. `here`: files and drivers are wanted on this machine."""
    if settings.profile not in PROFILES:
        yield f"{_ARGS}.profile", f"there is no profile {settings.profile!r}; there are {', '.join(PROFILES)}"
    for part in _PORTS:
        known = (*registry.known(part), *(("auto",) if part == "quality_speech_to_text" else ()))
        if (engine := getattr(settings, part).engine) not in known:
            yield f"{_ARGS}.{part}.engine", f"there is no engine {engine!r}; there are {', '.join(known)}"
    yield from _archive(settings, here)
    try:
        check_entries(settings.session.pronunciations, field=f"{_ARGS}.session.pronunciations")
    except InputError as error:
        yield str(error.field), str(error)
    for part, fields in _FILES.items() if here else ():
        for field in fields:
            path = getattr(getattr(settings, part), field)
            if path is not None and not path.expanduser().exists():
                yield f"{_ARGS}.{part}.{field}", f"there is no {path}"
    for place, voice in enumerate(settings.text_to_speech.further_voices if here else ()):
        if isinstance(voice, Path) and not voice.expanduser().exists():
            yield f"{_ARGS}.text_to_speech.further_voices.{place}", f"there is no {voice}"


def _archive(settings: AppSettings, here: bool) -> Iterator[Trouble]:
    """Each of the storages of an address as `simplecache::s3://bucket` must be one that fsspec knows."""
    place = f"{_ARGS}.archive.url"
    for part in (settings.archive.url or "").split("::"):
        scheme, found, _ = part.partition("://")
        scheme = scheme if found or "::" in (settings.archive.url or "") else "file"
        if scheme not in fsspec.available_protocols():
            yield place, f"there is no storage {scheme}://; as s3://BUCKET/FOLDER, or a folder"
        elif here:
            try:
                fsspec.get_filesystem_class(scheme)
            except ImportError as error:
                yield place, f"{scheme}:// needs a driver that is not installed: {error}"
