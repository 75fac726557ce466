"""Several speakers as one: the chosen provider speaks, or else the next one of the fallback order."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from itertools import chain

from pipeline.engines.ports import AS_CONFIGURED, EngineResult, OpusChunk, Speaker, WordTimes
from pipeline.engines.routing.fallback_order import in_order
from pipeline.engines.routing.retry import Guard
from schemas.errors import EngineError, EngineFailed, UnknownProvider
from schemas.settings.provider_settings import LOCAL


class GuardedSpeaker:
    """Satisfies Speaker around a provider's one: asked again, or left alone."""

    def __init__(self, guard: Guard, speaker: Speaker) -> None:
        self._guard = guard
        self._speaker = speaker

    @property
    def voices(self) -> tuple[str, ...]:
        return self._speaker.voices

    @property
    def providers(self) -> Mapping[str, tuple[str, ...]]:
        return {self._guard.name: self.voices}

    def speak(
        self, text: str, *, voice: str, speed: float = 1.0, delivery: EngineResult = AS_CONFIGURED
    ) -> AsyncGenerator[WordTimes | OpusChunk, None]:
        """See `Speaker.speak`, and `Guard.stream`."""
        return self._guard.stream(
            lambda: self._speaker.speak(text, voice=voice, speed=speed, delivery=delivery)
        )

    async def aclose(self) -> None:
        await self._speaker.aclose()


@dataclass(frozen=True, slots=True)
class Link:
    """One provider in the chain."""

    name: str
    speaker: Speaker
    default_voice: str

    def voice(self, wished: str) -> str:
        return wished if wished in self.speaker.voices else self.default_voice


class ChainSpeaker:
    """Satisfies Speaker. The next provider is asked only as long as nothing was heard of the sentence.

    A provider's last error comes out as EngineFailed, since it was tried again here already; an error of the
    voice in this server comes out as it is.
    """

    def __init__(self, links: Sequence[Link], fallback: tuple[str, ...]) -> None:
        self._links = {link.name: link for link in links}
        self._fallback = fallback

    @property
    def voices(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(chain.from_iterable(self.providers.values())))

    @property
    def providers(self) -> Mapping[str, tuple[str, ...]]:
        return {name: link.speaker.voices for name, link in self._links.items()}

    async def speak(
        self, text: str, *, voice: str, speed: float = 1.0, delivery: EngineResult = AS_CONFIGURED
    ) -> AsyncGenerator[WordTimes | OpusChunk, None]:
        """See `Speaker.speak`. A voice that a fallback does not have becomes its default voice."""
        route = self._route(delivery)

        def ask(name: str) -> AsyncGenerator[WordTimes | OpusChunk, None]:
            link = self._links[name]
            voiced = voice if name == route[0] else link.voice(voice)
            return _with_sound(link.speaker.speak(text, voice=voiced, speed=speed, delivery=delivery))

        async with aclosing(in_order(route, ask, _verdict)) as items:
            async for item in items:
                yield item

    async def aclose(self) -> None:
        for link in self._links.values():
            await link.speaker.aclose()

    def _route(self, delivery: EngineResult) -> list[str]:
        wished = delivery.provider or LOCAL
        if wished not in self._links:
            raise UnknownProvider(
                f"There is no provider {wished!r}; there is: {', '.join(self._links)}.",
                field="tts_provider",
            )
        return list(dict.fromkeys((wished, *self._fallback)))


def _verdict(name: str, error: EngineError, reasons: Sequence[str]) -> EngineError:
    return error if name == LOCAL else EngineFailed(" ".join(reasons))


async def _with_sound(
    items: AsyncGenerator[WordTimes | OpusChunk, None],
) -> AsyncGenerator[WordTimes | OpusChunk, None]:
    """Word times wait for the first sound: those of a voice that made none would stay with the next one's."""
    times: WordTimes | None = None
    async with aclosing(items):
        async for item in items:
            if isinstance(item, WordTimes):
                times = item
                continue
            if times is not None:
                yield times
                times = None
            yield item
