"""Speech to text of this server and of others as one engine: the utterance says which is asked."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from pipeline.engines.ports import LocalSpeechToText, SpeechToText, Transcript, Utterance
from schemas.errors import UnknownProvider


class SpeechToTextWithProviders:
    """Satisfies SpeechToText, and closes all that it was given."""

    def __init__(self, local: LocalSpeechToText, providers: Mapping[str, SpeechToText]) -> None:
        self.local = local
        self._providers = providers

    @property
    def providers(self) -> tuple[str, ...]:
        return tuple(self._providers)

    async def transcribe(self, utterance: Utterance) -> AsyncGenerator[str | Transcript, None]:
        """See `SpeechToText.transcribe`."""
        async with aclosing(self._who(utterance.provider).transcribe(utterance)) as items:
            async for item in items:
                yield item

    def check(self) -> None:
        """Raises EngineDead where nothing can be expected of this server's own any more."""
        self.local.check()

    def _who(self, name: str | None) -> SpeechToText:
        if name is None:
            return self.local
        if name not in self._providers:
            known = ", ".join(self._providers) or "none"
            raise UnknownProvider(f"No provider called {name!r} transcribes speech here; there is: {known}.")
        return self._providers[name]

    async def aclose(self) -> None:
        for engine in (self.local, *self._providers.values()):
            await engine.aclose()
