"""Catalog of voices, language models, transcribers and collections that a user may choose."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain

from pipeline.engines.forced_calls import forced
from pipeline.engines.llm.grammar_check import GrammarChecker
from pipeline.engines.llm.json_grammars import grammar
from pipeline.engines.ports import ChatRequest, Function, Providers, is_ours
from pipeline.eventlog.event_log import EventLog
from pipeline.tts.pronunciations import check_entries
from schemas.errors import UnknownFunction, UnknownModel, UnknownProvider, UnknownVoice
from schemas.errors.retrieval_errors import CollectionNotFound
from schemas.ids import Seq, parse_session_id
from schemas.languages import ANY, AUTO, speaks
from schemas.native.client_commands import SettingsPatch
from schemas.settings import SessionSettings
from schemas.settings.provider_settings import LOCAL
from schemas.speech_style import PronunciationEntry, from_origin

Offers = Mapping[str, tuple[str, ...]]
"""Providers, and the models of each; "local" is this server."""


async def check_readable(log: EventLog, patch: SettingsPatch, principal: str) -> None:
    """Checks that a patch's collections exist and belong to the principal. Raises CollectionNotFound."""
    if "collections" not in patch.model_fields_set:
        return
    found = await readable(log, patch.collections, principal)
    if missing := [collection for collection in patch.collections if collection not in found]:
        raise CollectionNotFound(f"there is no collection {missing[0][:80]!r}", field="settings.collections")


async def with_readable(log: EventLog, settings: SessionSettings, principal: str) -> SessionSettings:
    """Without the collections that are gone, or that came along with an imported session."""
    if not settings.collections:
        return settings
    found = await readable(log, settings.collections, principal)
    return settings.model_copy(update={"collections": found})


async def readable(
    log: EventLog, collections: Sequence[str], principal: str, *, thread: str | None = None
) -> tuple[str, ...]:
    """Those of them that are this principal's collections; `thread`: of these, the ones made for it."""
    found = []
    for collection in dict.fromkeys(collections):
        session = parse_session_id(collection)
        first = [] if session is None else await log.read(session, Seq(0), limit=1)
        data = first[0].data if first else {}
        theirs = data.get("kind") == "collection" and data.get("principal", "") == principal
        if theirs and thread in (None, data.get("parent")):
            found.append(collection)
    return tuple(found)


def with_user_dictionary(
    settings: SessionSettings, entries: tuple[PronunciationEntry, ...]
) -> SessionSettings:
    """The user's entries come after the session's own and before the server's."""
    if not entries:
        return settings
    known = settings.pronunciations
    own = [one for one in known if one.origin == "session"]
    merged = (*own, *from_origin(entries, "user"), *known[len(own) :])
    return settings.model_copy(update={"pronunciations": merged})


@dataclass(frozen=True, slots=True)
class Catalog:
    """Choices for session settings, with their defaults."""

    defaults: SessionSettings
    speakers: Providers
    """Speech providers, the voices of each, and the languages of each voice."""
    transcribers: tuple[str, ...] = ()
    """Transcription providers beside this server."""
    answerers: Offers = field(default_factory=lambda: {LOCAL: ()})
    """Providers of answers, and the models of each that can be chosen by name."""

    functions: tuple[str, ...] = ()
    """Functions that this server can call."""
    reserved: Mapping[str, Collection[str]] = field(default_factory=dict)
    """Functions that are there for some principals alone, and which those are."""
    grammars: GrammarChecker | None = None
    """Set where the model in this server takes only some JSON schemas."""

    dictionary_of: Callable[[str], Awaitable[tuple[PronunciationEntry, ...]]] | None = None
    """A principal's own pronunciations, which their new sessions begin with."""

    @property
    def voices(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(chain.from_iterable(self.speakers.values())))

    def check(self, settings: SessionSettings, before: SessionSettings | None = None) -> SessionSettings:
        """The same settings, `before` without a change. Raises an Unknown... error, which names the field."""
        writer = settings.listening.provider
        if writer is not None and writer not in self.transcribers:
            known = ", ".join(self.transcribers) or "none"
            raise UnknownProvider(
                f"there is no provider {writer!r}; there is: {known}", field="settings.listening.provider"
            )
        for name in settings.tools.registered:
            if name not in self.functions:
                raise self._unknown(name)
        models = _offered(self.answerers, settings.llm_provider, field="settings.llm_provider")
        if settings.llm_model is not None and settings.llm_model not in models:
            known = ", ".join(models) or "no choice"
            raise UnknownModel(
                f"there is no model {settings.llm_model!r} there; there is: {known}",
                field="settings.llm_model",
            )
        voices = self.voices_of(settings.tts_provider, field="settings.tts_provider")
        if settings.voice not in voices:
            raise UnknownVoice(
                f"there is no voice {settings.voice!r} there; there is: {', '.join(voices)}",
                field="settings.voice",
            )
        own = [one for one in settings.pronunciations if one.origin == "session"]
        check_entries(own, field="settings.pronunciations", known=before.pronunciations if before else ())
        return settings

    def check_reserved(self, settings: SessionSettings, principal: str) -> None:
        """Raises UnknownFunction for one that is there for other principals."""
        for name in settings.tools.registered:
            if name not in self.defaults.tools.registered and principal not in self.reserved.get(
                name, (principal,)
            ):
                raise self._unknown(name)

    def _unknown(self, name: str) -> UnknownFunction:
        known = ", ".join(one for one in self.functions if one not in self.reserved) or "none"
        return UnknownFunction(
            f"there is no function {name!r}; there is: {known}", field="settings.tools.registered"
        )

    async def check_schemas(self, settings: SessionSettings, principal: str) -> None:
        """Of the answer, and of the functions of which one must be called.

        Raises SchemaInvalid, which names the field, or EngineBusy.
        """
        if self.grammars is None or not is_ours(settings.llm_provider):
            return
        check = partial(self.grammars.check, principal=principal)
        if settings.sampling.json_schema is not None:
            await check(grammar(settings.sampling.json_schema), field="settings.sampling.json_schema")
        tools = settings.tools
        offered = tuple(Function(one.name, one.description, one.parameters) for one in tools.functions)
        request = ChatRequest((), functions=offered, choice=tools.choice)
        schema = forced(request).json_schema if request.must_call else None
        if schema is not None:
            parts = {
                f"settings.tools.functions.{number}.parameters": grammar(one.parameters)
                for number, one in enumerate(offered)
                if one.parameters and tools.choice in ("required", f"function:{one.name}")
            }
            await check(grammar(schema), field="settings.tools.functions", parts=parts)

    @property
    def usual_language(self) -> str:
        """Language of new sessions; where they find it out, that of the voice which they begin with."""
        if self.defaults.language != AUTO:
            return self.defaults.language
        spoken = self.speakers.get(self.defaults.tts_provider or LOCAL, {}).get(self.defaults.voice, ())
        return next((tag for tag in spoken if tag != ANY), "en")

    def speaks(self, language: str) -> bool:
        """Whether a voice of any provider does."""
        return any(speaks(tags, language) for voices in self.speakers.values() for tags in voices.values())

    def voices_of(self, provider: str | None, *, field: str) -> tuple[str, ...]:
        """Raises UnknownProvider, which names the field that it came in."""
        return _offered(self.speakers, provider, field=field)


def _offered(offers: Mapping[str, Iterable[str]], provider: str | None, *, field: str) -> tuple[str, ...]:
    offered = offers.get(provider or LOCAL)
    if offered is None:
        known = ", ".join(offers)
        raise UnknownProvider(f"there is no provider {provider!r}; there is: {known}", field=field)
    return tuple(offered)
