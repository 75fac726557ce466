"""Hints from an utterance's words and sound: complete, unfinished, or no more than a backchannel."""

import math
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

from schemas.languages import primary

Reading = Literal["complete", "incomplete", "unclear"]
Wait = Literal["complete", "doubtful", "incomplete"]
Hint = Callable[[Wait | None], None]
"""Is told how long the silence should be waited for; None: as usual."""


def _table(text: str) -> frozenset[str]:
    return frozenset(text.split())


@dataclass(frozen=True, slots=True)
class _Tells:
    """The tell-tale words of one language."""

    hanging: frozenset[str]
    """More must follow them, whatever Whisper puts after them."""
    leaning: frozenset[str]
    """More mostly follows them, but they may be the last word."""
    phrases: tuple[str, ...]
    """Two words or more after which more must follow."""
    digits: frozenset[str]
    numbered: frozenset[str]
    """Words after which a number may be dictated digit by digit."""
    agreeing: frozenset[str]
    """Words, and phrases with "_" for blanks, that say no more than: I am listening."""
    closing: tuple[str, ...]
    """Words that end a turn, whatever is before them."""
    joining: frozenset[str]
    """Words before the last item of a list."""
    opening: frozenset[str]
    """Words that begin a clause which another one follows, after a comma."""
    short: frozenset[str]
    """Those of `numbered` after which two digits or more may be all."""


_ENGLISH: Final = _Tells(
    hanging=_table(
        "and or but nor because if unless until although though whereas while whether since than a an the my "
        "your our their every of from into onto um uh uhm umm ah er erm hmm hm plus i'm it's that's there's "
        "i'd i'll we're you're they're he's she's we'll gonna wanna let's"
    ),
    leaning=_table(
        "in on at to for with by about over under after before through between against without during as "
        "this that these those his her its what who which when where why how not just only some any be been "
        "have has had is are was were am can could would should will do does did i we you they he she it "
        "then like so well very really please also maybe"
    ),
    phrases=("i mean", "you know", "kind of", "sort of", "such as", "as well as", "in order", "let me see"),
    digits=_table(
        "zero oh one two three four five six seven eight nine ten eleven twelve twenty thirty forty fifty "
        "sixty seventy eighty ninety hundred thousand double triple"
    ),
    numbered=_table("number numbers phone code pin zip postcode card account extension dial serial id"),
    agreeing=_table(
        "yeah yep yup yes right okay ok sure alright exactly true good great cool nice wow i_see got_it "
        "of_course uh-huh mm-hm makes_sense go_on all_right fair_enough thanks thank_you really indeed"
    ),
    closing=("thank you", "thanks", "goodbye", "bye", "bye bye"),
    joining=_table("and or nor"),
    opening=_table("if although unless whenever to"),
    short=_table("extension room"),
)
_GERMAN: Final = _Tells(
    hanging=_table(
        "und oder aber sondern denn weil dass ob falls obwohl während bevor nachdem sobald damit ein eine "
        "einen einem einer eines der dem den des mein meine meinen meinem meiner dein deine unser unsere "
        "ihre ihren ihrem seine seinen seinem für von ohne gegen bis zum zur im am beim vom ins ans äh ähm "
        "öh öhm hm hmm sowie als wie"
    ),
    leaning=_table(
        "die das wenn an auf aus bei mit nach vor zu ab in über unter um seit zwischen dieser diese dieses "
        "diesen was wer wo wann warum welche nicht nur noch auch schon dann ich wir du er sie es man hat "
        "habe haben kann können will möchte würde soll sollte muss ist sind war waren also sehr bitte "
        "vielleicht durch"
    ),
    phrases=("das heißt", "zum beispiel", "ich meine", "sowohl als"),
    digits=_table(
        "null eins zwei zwo drei vier fünf sechs sieben acht neun zehn elf zwölf zwanzig dreißig vierzig "
        "fünfzig sechzig siebzig achtzig neunzig hundert tausend"
    ),
    numbered=_table(
        "nummer nummern telefonnummer handynummer telefon code pin postleitzahl plz karte kartennummer "
        "konto kontonummer durchwahl iban kundennummer vorwahl"
    ),
    agreeing=_table(
        "ja jaja jap jo jep genau richtig okay ok gut klar stimmt aha schön super toll eben sicher natürlich "
        "ach_so achso alles_klar na_klar ich_verstehe verstehe ach danke"
    ),
    closing=("danke", "danke schön", "vielen dank", "tschüss", "auf wiedersehen"),
    joining=_table("und oder"),
    opening=_table("wenn falls obwohl um"),
    short=_table("durchwahl"),
)
_SPANISH: Final = _Tells(
    hanging=_table(
        "y e o u pero porque aunque si que cuando mientras donde como un una unos unas el la los las mi "
        "mis tu tus su sus nuestro nuestra de del a al en con sin por para según desde hasta entre "
        "sobre contra eh em mm más"
    ),
    leaning=_table(
        "ese esa esto eso este esta qué quién cuál dónde cuándo cómo no solo también muy yo tú él ella "
        "nosotros ellos he ha han es son está están era fue tengo tiene quiero quiere puedo puede debo "
        "debe hay pues entonces bueno ya me te se le lo nos"
    ),
    phrases=("es decir", "por ejemplo", "o sea", "así que", "a ver", "tal vez", "ya que"),
    digits=_table(
        "cero uno una dos tres cuatro cinco seis siete ocho nueve diez once doce veinte treinta "
        "cuarenta cincuenta sesenta setenta ochenta noventa cien mil"
    ),
    numbered=_table("número números teléfono código pin tarjeta cuenta extensión postal dni matrícula"),
    agreeing=_table(
        "sí si claro vale ok okay bueno bien exacto exactamente cierto verdad ajá ya entiendo comprendo "
        "perfecto genial gracias de_acuerdo por_supuesto muy_bien"
    ),
    closing=("gracias", "adiós", "hasta luego", "hasta pronto"),
    joining=_table("y e o u"),
    opening=_table("si cuando aunque para"),
    short=_table("extensión"),
)
_FRENCH: Final = _Tells(
    hanging=_table(
        "et ou mais car donc or ni parce que si quand lorsque puisque comme un une des le la les l du "
        "de d au aux mon ma mes ton ta tes son sa ses notre votre leur leurs à dans en avec sans par "
        "pour sur sous chez vers entre depuis jusque contre euh heu bah ben c'est j'ai qu'il qu'elle"
    ),
    leaning=_table(
        "ce cet cette ces qui quoi quel quelle où comment combien pourquoi ne pas plus aussi très je j "
        "tu il elle on nous vous ils elles est sont suis était ai as a avons avez ont veux veut peux "
        "peut dois doit voudrais alors enfin bon peut-être me te se y lui"
    ),
    phrases=(
        "c'est à dire",
        "c'est-à-dire",
        "par exemple",
        "je veux dire",
        "parce que",
        "afin de",
        "est-ce que",
    ),
    digits=_table(
        "zéro un une deux trois quatre cinq six sept huit neuf dix onze douze vingt trente quarante "
        "cinquante soixante cent mille"
    ),
    numbered=_table("numéro numéros téléphone code pin carte compte poste postal dossier"),
    agreeing=_table(
        "oui ouais voilà d'accord bien exactement exact absolument certes ok okay super parfait merci "
        "ah bon je_vois je_comprends très_bien bien_sûr en_effet"
    ),
    closing=("merci", "au revoir", "à bientôt"),
    joining=_table("et ou"),
    opening=_table("si quand lorsque puisque pour"),
    short=_table("poste"),
)
_LANGUAGES: Final = {"en": _ENGLISH, "de": _GERMAN, "es": _SPANISH, "fr": _FRENCH}
_HUM: Final = re.compile(r"[mh]+|u+m+|u+h+|uhhuh|a+h+|o+h+|aha|huh|mhm+|mmhm+|mmhmm|uhu|ä+h+m*|ö+h+m*|e+r*m+")
_LAUGH: Final = re.compile(r"(?:h[aeio]+){2,}h?|a?ha+h?|(?:ja){3,}")
_NOISE: Final = re.compile(r"\[[^\]]*\]|\([^)]*\)|\*[^*]*\*|♪[^♪]*♪?")
"""How Whisper and others write sound that is no speech: "[laughter]", "(coughs)", music."""
_ECHO_WORDS: Final = 3
"""So few words in a row, the last of an answer too, may well be an answer to it."""
_CLOSING: Final = "\"'”’»«)]} "
_GOES_ON: Final = (",", ";", ":", "-", "–", "—", "…", "..", "،", "、")
_STOPS: Final = (".", "!", "?", "。", "！", "？")
ENDED: Final = 0.5
"""From this probability on the sound counts as that of a finished turn."""
_BIAS: Final = 0.43
_OF_READING: Final[Mapping[Reading, float]] = {"complete": 2.01, "unclear": 0.0, "incomplete": -2.14}
_OF_TEXT: Final = 0.75
_OF_SOUND: Final = 0.14
_USUAL_LOGIT: Final = -0.41
"""Of the turn detector, on average."""
_LEAST: Final = 0.001
_BY_MODEL: Final = frozenset({"en", "es", "fr"})
_SURELY_OVER: Final = 0.8
_PERHAPS_OVER: Final = 0.36
_PHONE_DIGITS: Final = 7
"""A dictated number may be complete with so many."""
_CUE_WORDS: Final = 4
"""So near before the digits is the word that says what number they are."""
_SHORT_DIGITS: Final = 2
_GROUP_DIGITS: Final = 3
"""One word with so many may be the first group of a number, where no word says so."""
_AMOUNT: Final = re.compile(r"(?:1\d|20)\d\d|\d+[.,]\d+")
"""Years, and numbers of a thousand or with a decimal, are seldom the first group."""
_ITEM_WORDS: Final = 3
"""An item of a list has so many words at most."""
_LONE_WORDS: Final = 2
"""An item that Whisper writes as a sentence of its own has so many words at most,"""
_LEAD_WORDS: Final = 4
"""and the sentence before it so many."""
_NUMBER: Final = _table("number nummer número numéro")
"""After them, the number follows or is spoken of."""
_SENTENCE: Final = re.compile(r"[.!?](?=\s|$)")
_COMMA: Final = re.compile(r",\s")
_FULL_STOP: Final = re.compile(r"(?:[^\W_]{4}|\d)\.\s")
"""After a longer word or a number; else it may be an abbreviation's, as in "Dr. Who"."""
_WORD: Final = re.compile(r"[^\W_]+(?:['’.,-][^\W_]+)*")


def reads_as(text: str, language: str) -> Reading:
    """Whether the speaker seems to have finished; Whisper's full stop alone does not say so."""
    text = text.rstrip(_CLOSING)
    words = _words(text)
    if not words:
        return "unclear"
    if text.endswith(_GOES_ON):
        return "incomplete"
    tells = _LANGUAGES.get(primary(language))
    if tells is None:
        return "complete" if text.endswith(("?", "？")) else "unclear"
    asked = text.endswith("?")
    last, said = words[-1], " ".join(words)
    if any(_ends_with(said, phrase) for phrase in tells.closing):
        return "complete"
    if not asked and (last in tells.hanging or any(_ends_with(said, phrase) for phrase in tells.phrases)):
        return "incomplete"
    if (number := _dictated(words, tells)) is not None:
        return number
    if (item := _listed(text, tells)) is not None:
        return item
    if not asked and words[0] in tells.opening and "," not in text and len(_SENTENCE.findall(text)) < 2:
        return "incomplete"
    if not text.endswith(_STOPS):
        return "incomplete" if last in tells.leaning | tells.hanging else "unclear"
    leads_on = last in tells.leaning | _NUMBER or _names_a_number(words, tells)
    return "unclear" if leads_on and not asked else "complete"


def is_read(language: str) -> bool:
    """Whether the model that reads texts was measured in the language (`make bench-turns`)."""
    return primary(language) in _BY_MODEL


def end_probability(reading: Reading, ended: float | None, text_end: float) -> float:
    """Probability that the turn is over: a logistic model of the three signs, fitted to `make bench-turns`.

    `ended`: as the turn detector hears it; None: it has not answered. `text_end`: as the text's reader says.
    """
    heard = _USUAL_LOGIT if ended is None else _logit(ended)
    score = _BIAS + _OF_READING[reading] + _OF_TEXT * _logit(text_end) + _OF_SOUND * heard
    return 1 / (1 + math.exp(-score))


def _logit(probability: float) -> float:
    likely = min(max(probability, _LEAST), 1 - _LEAST)
    return math.log(likely / (1 - likely))


def expected_wait(
    reading: Reading, ended: float | None, threshold: float = ENDED, *, text_end: float | None = None
) -> Wait | None:
    """The wait, by the text and by the probability that the turn is over; None: as usual.

    Chosen by a sweep over hesitant speech (`make bench-turns`). `ended` is None where no turn detector
    answers, `text_end` where no model reads the text.
    """
    if text_end is not None:
        over = end_probability(reading, ended, text_end)
        if over >= _SURELY_OVER:
            return "complete"
        return None if over >= _PERHAPS_OVER else "incomplete" if reading == "incomplete" else "doubtful"
    if reading == "incomplete":
        return "incomplete"
    if ended is None:
        return "complete" if reading == "complete" else None
    over = ended >= threshold
    if reading == "complete":
        return "complete" if over else None
    return None if over else "doubtful"


class TurnSigns:
    """Signs of text and sound about one silence, each when it is known; `hint` hears what follows."""

    def __init__(self, hint: Hint) -> None:
        self._hint: Hint | None = hint
        self._reading: Reading = "unclear"
        self._ended: float | None = None
        self._text_end: float | None = None
        self._told: Wait | None = None

    def read(self, reading: Reading) -> None:
        """The text reads like this."""
        self._reading = reading
        self._tell()

    def heard(self, ended: float) -> None:
        """The detector of the end of a turn has answered: a probability from 0 to 1."""
        self._ended = ended
        self._tell()

    def judged(self, text_end: float) -> None:
        """The model that reads the text has answered: a probability from 0 to 1."""
        self._text_end = text_end
        self._tell()

    def drop(self) -> None:
        """The silence is over: what is known later of it counts for nothing."""
        self._hint = None

    def _tell(self) -> None:
        wait = expected_wait(self._reading, self._ended, text_end=self._text_end)
        if self._hint is not None and wait != self._told:
            self._told = wait
            self._hint(wait)


def is_backchannel(text: str, language: str) -> bool:
    """Whether the text is only agreement, laughter or the name of a noise. "Wait" and "no" say more."""
    tells = _LANGUAGES.get(primary(language))
    agreeing = tells.agreeing if tells else _ENGLISH.agreeing | _GERMAN.agreeing
    rest = _NOISE.sub(" ", text)
    words = _words(rest)
    at = 0
    while at < len(words):
        if " ".join(words[at : at + 2]).replace(" ", "_") in agreeing and at + 1 < len(words):
            at += 2
        elif words[at] in agreeing or _is_sound(words[at].replace("-", "")):
            at += 1
        else:
            return False
    return bool(words) or rest != text


def _is_sound(word: str) -> bool:
    return bool(_HUM.fullmatch(word) or _LAUGH.fullmatch(word))


def is_echo(text: str, spoken: str) -> bool:
    """Whether the text repeats what a loudspeaker says in the same room: `spoken`, the answer being heard.

    Most of its pairs of neighbouring words are pairs of the answer, and it has more than three words: less
    may be a choice that the answer offers ("the blue one"). A recogniser errs: nearly a third of the pairs
    need not fit.
    """
    words = _words(text)
    asks = text.rstrip(_CLOSING).endswith("?") and "?" not in spoken
    if len(words) <= _ECHO_WORDS or asks:
        return False
    known = set(pairwise(_words(spoken)))
    missing = sum(pair not in known for pair in pairwise(words))
    return missing <= (len(words) - 2) // 3


def _words(text: str) -> list[str]:
    plain = unicodedata.normalize("NFC", text).replace("’", "'").lower()
    return _WORD.findall(plain)


def _ends_with(said: str, phrase: str) -> bool:
    return said == phrase or said.endswith(f" {phrase}")


def _listed(text: str, tells: _Tells) -> Reading | None:
    """A list of short items: complete with "and" before the last one, else unclear; None: it is no list.

    Whisper puts commas or full stops between items: "I need eggs. Milk."
    """
    *before, items = (
        [_words(item) for item in _COMMA.split(sentence)] for sentence in _SENTENCE.split(text.rstrip(".!?"))
    )
    longest = max(map(len, items[1:]), default=0)
    if longest > _ITEM_WORDS:
        return None
    if len(items) > 1 and tells.joining.intersection(items[-1][:-1]):
        return "complete"
    if len(items) > 2:
        return "unclear"
    if not _FULL_STOP.search(text) or set("!?").intersection(text):
        return None
    lead = before[-1][-1]
    if len(lead) > _LEAD_WORDS or max(longest, len(items[0])) > _LONE_WORDS:
        return None
    return None if any(tells.agreeing.intersection(item) for item in (lead, *items)) else "unclear"


def _names_a_number(words: list[str], tells: _Tells) -> bool:
    """Nothing else is said ("Extension."), or which number it is ("numéro de téléphone")."""
    named = len(words) <= _LONE_WORDS or not _NUMBER.isdisjoint(words[-3:-1])
    return words[-1] in tells.numbered and named


def _dictated(words: list[str], tells: _Tells) -> Reading | None:
    """None: the text does not end in a number that may go on."""
    run = 0
    for word in reversed(words):
        if word not in tells.digits and not word[0].isdigit():
            break
        run += 1
    if not run:
        return None
    digits = sum(max(1, sum(each.isdigit() for each in word)) for word in words[-run:])
    cues = [word for word in words[:-run][-_CUE_WORDS:] if word in tells.numbered]
    if cues:
        enough = _SHORT_DIGITS if cues[-1] in tells.short else _PHONE_DIGITS
        return "incomplete" if digits < enough else "unclear"
    grouped = run > 1 or (digits >= _GROUP_DIGITS and not _AMOUNT.fullmatch(words[-1]))
    return "unclear" if grouped else None
