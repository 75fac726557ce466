"""One answer on a site: words, sentences, sound, and when each chunk of it is heard."""

from itertools import pairwise

from loadtests.crowd import Ears
from loadtests.simulator.calendar import Signal, Wait, Walk
from loadtests.simulator.plan import Speech
from loadtests.simulator.site import Site
from loadtests.simulator.station import Station

_TEXT = {"text": ""}


def fragments(tokens: float, speech: Speech) -> list[float]:
    """Tokens of each sentence of an answer: a short first fragment, then sentences of one length."""
    first = min(tokens, speech.first_tokens)
    whole, rest = divmod(tokens - first, speech.sentence_tokens)
    return [first, *[speech.sentence_tokens] * int(whole), *([rest] if rest >= 1 else [])]


def chunks(sound_s: float, speech: Speech) -> list[float]:
    """Seconds of each chunk of a sentence."""
    cut: list[float] = []
    while sound_s > 1e-9:
        step = speech.chunks_s[min(len(cut), len(speech.chunks_s) - 1)]
        cut.append(min(step, sound_s))
        sound_s -= step
    return cut


class Turn:
    """From the end of the question to the last chunk. `ears` hears it."""

    def __init__(self, site: Site, gateway: Station, log: Station, tokens: float) -> None:
        plan = site.plan
        self._site = site
        self._plan = plan
        self._calendar = site.calendar
        self._gateway = gateway
        self._log = log
        self._sentences = fragments(tokens, plan.speech)
        self._sound = [chunks(size / plan.speech.tokens_per_s, plan.speech) for size in self._sentences]
        self._ready = [Signal() for _ in self._sentences]
        self._made = [[Signal() for _ in cut] for cut in self._sound]
        self._recorded = [Signal() for _ in self._sentences]
        self.asked_s = self._calendar.now
        self.ears = Ears(self.asked_s)

    def run(self) -> Walk:
        plan, calendar = self._plan, self._calendar
        if plan.people.question_s:
            yield calendar.pause(plan.people.silence_s)
            yield self._pool("stt", plan.people.question_s)
        yield self._gateway.work(plan.overheads.gateway_turn)
        yield self._log.work(plan.overheads.log_turn)
        yield calendar.pause(plan.overheads.hops_s)
        self._write()
        if plan.people.speak:
            for number in range(len(self._sentences)):
                calendar.start(self._synthesize(number))
            yield from self._record()
        else:
            yield self._ready[-1].wait
        self.ears.take("turn.completed", {}, calendar.now)

    def _write(self) -> None:
        """The language model keeps its place until the last token; nobody waits here."""
        first, *others = self._sentences
        milestones = [self._plan.prefill_units + 1, max(0.0, first - 1), *others]
        self._site.pools["llm"].pick().enter(milestones, self._written)

    def _written(self, milestone: int) -> None:
        if milestone == 0:
            self._calendar.start(self._first_words())
            return
        number = milestone - 1
        self._deltas(self._sentences[number] * self._plan.deltas_per_token)
        self._ready[number].set()

    def _first_words(self) -> Walk:
        yield self._gateway.work(self._plan.overheads.gateway_delta)
        self.ears.take("text.delta", _TEXT, self._calendar.now)

    def _deltas(self, many: float) -> None:
        """What their way to the listener takes, in one lump."""
        overheads = self._plan.overheads
        lump(self._gateway, overheads.gateway_delta * many)
        lump(self._log, overheads.log_delta * many)
        lump(self._site.pools["replicas"].pick(), overheads.replica_delta * many)

    def _synthesize(self, number: int) -> Walk:
        speech = self._plan.speech
        yield self._ready[number].wait
        if (before := number - 1 - speech.ahead) >= 0:
            yield self._recorded[before].wait
        first, *others = self._sound[number]
        milestones = [first + speech.first_units, *others]
        made = self._made[number]
        self._site.pools["tts"].pick().enter(milestones, lambda chunk: made[chunk].set())

    def _record(self) -> Walk:
        """Sentence after sentence, chunk after chunk, into the log and to the listener."""
        overheads = self._plan.overheads
        for number, cut in enumerate(self._sound):
            for made, seconds in zip(self._made[number], cut, strict=True):
                yield made.wait
                yield self._gateway.work(overheads.gateway_chunk)
                yield self._log.work(overheads.log_chunk)
                self.ears.take("audio.chunk", {"ms": seconds * 1_000}, self._calendar.now)
            self._recorded[number].set()

    def _pool(self, stage: str, amount: float) -> Wait:
        return self._site.pools[stage].pick().work(amount)


def lump(station: Station, work: float) -> None:
    """Work that takes its place among the others, and that nobody waits for."""
    if work > 0:
        station.enter((work,), lambda _: None)


def steady(series: list[float]) -> bool:
    """Whether it does not grow from its first half to its second: a queue that grows for ever does."""
    half = len(series) // 2
    parts = [sum(part) / len(part) for part in (series[:half], series[half:]) if part]
    return all(later <= 1.5 * earlier + 1e-3 for earlier, later in pairwise(parts))
