"""Which characters belong together, and which ones are pictures."""

import re
import unicodedata
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Final

import sentencex

from schemas.languages import primary

EMOJI: Final = (
    "\U0001f000-\U0001faff\u2600-\u27bf\u2b00-\u2bff\u2300-\u23ff\u25a0-\u25ff"
    "\ufe0f\u200d\u20e3\U000e0020-\U000e007f"
)
"""The inside of a regex character class."""

_ONLY_EMOJI: Final = re.compile(f"[{EMOJI}]+")
_JOINER: Final = "\u200d"
_MODIFIERS: Final = frozenset(map(chr, range(0x1F3FB, 0x1F400)))
_HANGUL: Final = re.compile("[\u1100-\u11ff\ua960-\ua97f\uac00-\ud7ff]{2}")
_HANGUL_LEAD: Final = re.compile("[\u1100-\u115f\ua960-\ua97f]")
_LOOK_BACK: Final = 64


def only_emoji(word: str) -> bool:
    return _ONLY_EMOJI.fullmatch(word) is not None


def may_cut(text: str, at: int) -> bool:
    """False where a cut before text[at] would split what a reader sees as one character.

    Follows the grapheme clusters of UAX 29; Hangul jamo and joined emoji are kept together
    rather too often than too seldom.
    """
    if not 0 < at < len(text):
        return True
    before, after = text[at - 1], text[at]
    if after < "\u0300":
        return not (before == "\r" and after == "\n") and before != _JOINER and not _prepends(before)
    if unicodedata.category(before) in ("Cc", "Zl", "Zp"):
        return True
    return not (_extends(after) or before == _JOINER or _one_flag_or_syllable(text, at) or _prepends(before))


def _extends(character: str) -> bool:
    return (
        character == _JOINER
        or character in _MODIFIERS
        or unicodedata.category(character) in ("Mn", "Me", "Mc")
        or "\U000e0020" <= character <= "\U000e007f"
        or character in "\u200c\u0e33\u0eb3\uff9e\uff9f"
    )


def _prepends(character: str) -> bool:
    """Signs that belong to the character after them: a virama (it joins consonants), Arabic number signs."""
    return character >= "\u0600" and (
        unicodedata.combining(character) == 9
        or (unicodedata.category(character) == "Cf" and unicodedata.bidirectional(character) in ("AN", "AL"))
    )


def _one_flag_or_syllable(text: str, at: int) -> bool:
    if _HANGUL.fullmatch(text, at - 1, at + 1):
        whole_syllable = "\uac00" <= text[at] <= "\ud7a3"
        return not whole_syllable or _HANGUL_LEAD.match(text[at - 1]) is not None
    if not _is_flag_letter(text[at]):
        return False
    letters = 0
    while letters < at and _is_flag_letter(text[at - 1 - letters]):
        letters += 1
    return letters % 2 == 1


def _is_flag_letter(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def last_cut(text: str, start: int, end: int) -> int:
    """The last place in (start, end] where text may be cut; `end` itself where there is none nearby."""
    piece = text[start : end + 1]
    size = end - start
    for at in range(size, max(0, size - _LOOK_BACK), -1):
        if may_cut(piece, at):
            return start + at
    return end


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Abbreviations, which decide what a full stop after a word means."""

    titles: frozenset[str]
    """A sentence never ends after one: a name, a noun or a number follows."""
    numbered: frozenset[str]
    """Abbreviations only where a number follows ("No. 5"); otherwise words like any other."""
    closing: frozenset[str]
    """May end a sentence: it did, if one that begins with a typical first word or any capital follows."""
    names: frozenset[str]
    """May end a sentence too, but are followed by names: it did only if a typical first word follows."""
    starters: frozenset[str]
    """Words that, with a capital, nearly always begin a sentence."""
    not_starters: frozenset[str] = frozenset()
    """Words with a capital that go on after a closing abbreviation ("5 p.m. Monday")."""
    months: frozenset[str] = frozenset()
    before_ordinal: frozenset[str] = frozenset()
    """Words before an ordinal that is written with a full stop ("am 3. Oktober")."""
    pairs: frozenset[str] = frozenset()
    """Two letters, each with its full stop, after which a sentence never ends ("z. B." is "zB")."""
    before_number: tuple[str, ...] = ()
    """Ends of words that, with a full stop and a number after it, are abbreviated ("Hauptstr. 5")."""
    lettered: frozenset[str] = frozenset()
    """Words that are followed by a letter, which is no initial then ("plan B")."""
    asks_by_semicolon: bool = False
    """Whether a semicolon is a question mark, as in Greek."""
    known_to: str = ""
    """The language whose abbreviations sentencex knows, beside those above."""
    stops_after_numbers: bool = False
    """Whether ordinals are written with a full stop."""
    exclaiming: frozenset[str] = frozenset()
    """Names that end in an exclamation mark."""
    joining: frozenset[str] = frozenset()
    """Words that begin a phrase: who reads out may pause before one, though nothing is written there."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_DAYS: Final = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday"
_ZONES: Final = "Eastern Pacific Central Mountain EST EDT PST PDT CST CDT MST MDT GMT UTC ET PT CET CEST BST"

ENGLISH: Final = Lexicon(
    titles=_words(
        "Dr Drs Mr Mrs Ms Mx Prof Profs Rev Hon Gov Sen Rep Pres Gen Col Maj Capt Lt Sgt Cpl Cmdr Adm "
        "Fr Br Sra Messrs Mme Mlle Supt Insp Amb Atty Msgr Mt Ft Bros vs v viz cf approx est ca e.g "
        "i.e eg ie resp incl excl esp dept Dept Univ Assoc"
    ),
    numbered=_words(
        "No Nos min max Fig Figs fig figs Vol vol Vols Ch ch Chap chap Sec sec p pp P Pp Eq eq Art "
        "art ver Ver Ex ex Rm Apt Op op Pt pt Tel tel Jan Feb Mar Apr Jun Jul Aug Sep Sept Oct Nov "
        "Dec"
    ),
    closing=_words("etc p.m a.m P.M A.M min max hrs hr mins secs misc ft oz lb lbs sq tbsp tsp"),
    names=_words(
        "St U.S U.K U.N E.U U.S.A D.C L.A N.Y Inc Ltd Co Corp Jr Sr Ph.D M.D B.A M.A B.Sc M.Sc D.Phil "
        "Esq Ave Rd Blvd B.C A.D B.C.E C.E Pty Plc plc al"
    ),
    starters=_words(
        "The This That These Those There Then They Their He His She Her It Its I I'm I've I'd I'll We "
        "Our You Your My But And Or So Because When While Where What Who Why How If In On At As For "
        "From After Before However No Not Yes Now Once Although Though Since Until With Without Some "
        "Many Most All Both Each Every Another Let Let's Here Also Still Yet Today Yesterday Tomorrow "
        "Meanwhile Instead Finally First Next Later Maybe Perhaps Please Thus Therefore It's That's "
        "He's She's We're They're You're There's Isn't Don't Do Did Does Is Are Was Were Can Could "
        "Would Should Will Have Has Had An A"
    ),
    not_starters=_words(f"{_DAYS} {_ZONES}"),
    months=_words(
        "January February March April May June July August September October November December Jan "
        "Feb Mar Apr Jun Jul Aug Sep Sept Oct Nov Dec"
    ),
    exclaiming=_words("Yahoo! Jeopardy! Oklahoma!"),
    lettered=_words(
        "plan Plan vitamin Vitamin type Type class Class grade Grade group Group team Team room Room "
        "gate Gate appendix Appendix exhibit Exhibit part Part hepatitis Hepatitis model Model point Point"
    ),
    joining=_words(
        "and but or because although though while when whenever where wherever who whom whose which that if "
        "unless until since before after than in on at with without from into onto under through across "
        "among against during for by near along around behind beside beyond toward towards within despite"
    ),
)

GERMAN: Final = Lexicon(
    titles=_words(
        "Dr Dres Hr Hrn Fr Frl Prof Dipl Ing med phil jur rer nat habil Hl hl St Sr Mag Hptm Lt Ltn "
        "Pfr bzw ca vgl ggf evtl inkl exkl einschl zzgl abzgl insb bes allg sog urspr eigtl bspw "
        "entspr gem gegr geb gest verh Nr Nrn Hrsg z.B d.h i.d.R i.A i.V o.g s.o s.u v.a u.U z.T z.Zt "
        "Mr Mrs Ms vs dt engl frz lat griech ital span amerik röm christl kath Tel"
    ),
    numbered=_words(
        "S Z Rn Rdnr Ziff Pos Vers Abb Tab Bd Bde Kap Abs Abschn Art Anm Aufl max min mind Max Min lt "
        "Jan Feb Mär Apr Jun Jul Aug Sep Sept Okt Nov Dez"
    ),
    closing=_words("usw etc usf u.ä o.ä u.v.m u.a.m ff f"),
    names=_words(
        "U.S U.S.A e.V Co Inc Ltd Corp Gen Sen jun sen D.C B.A M.A B.Sc M.Sc Ph.D u.a u.v.a Mio Mrd Std "
        "Sek Jh Jhd Str Chr v.Chr n.Chr"
    ),
    starters=_words(
        "Der Die Das Den Dem Des Ein Eine Einen Einem Einer Er Sie Es Ich Wir Du Ihr Ihre Ihren Sein "
        "Seine Mein Meine Man Dann Da Doch Aber Und Oder Denn Wenn Als Wie Was Wer Wo Wann Warum Weil "
        "Im In Am An Auf Mit Nach Vor Bei Zu Zum Zur Von Vom Aus Seit Bis Für Ohne Durch Gegen Über "
        "Unter Dies Diese Dieser Dieses Diesen Danach Dort Hier Jetzt Heute Gestern Morgen So Also Ja "
        "Nein Nicht Noch Nun Nur Auch Alle Alles Viele Manche Damals Später Schließlich Endlich "
        "Deshalb Daher Trotzdem Jedoch Zuerst Zunächst Bitte Kein Keine Unser Unsere Ist Sind War Hat "
        "Haben Kann"
    ),
    months=_words(
        "Januar Jänner Februar März April Mai Juni Juli August September Oktober November Dezember "
        "Jan Feb Mär Apr Jun Jul Aug Sep Sept Okt Nov Dez"
    ),
    before_ordinal=_words(
        "am Am der Der die Die das Das dem Dem den Den des Des vom Vom zum Zum zur Zur im Im beim bis "
        "Bis seit Seit ab Ab jeder jede jedes jeden jedem ihr ihre ihren ihrem ihrer sein seine "
        "seinen seinem seiner mein meine meinen meinem meiner dein deine unser unsere unserem unseren "
        "dieser diese diesem"
    ),
    before_number=("str", "Str"),
    stops_after_numbers=True,
    joining=_words(
        "und aber oder denn weil dass wenn als wie ob obwohl während damit bevor nachdem im in am an auf "
        "mit von vom bei beim zu zum zur aus nach für über unter vor hinter neben zwischen durch gegen ohne "
        "um seit bis"
    ),
    pairs=_words("zB dh id dR iA iV og so su va zZ uU zT nC vC"),
)

LEXICONS: Final = {"en": ENGLISH, "de": GERMAN}
_TITLES: Final = _words("Dr Dra Prof Mr Mrs Ms Mme Mlle")
_ENUMERATION_ENDS: Final = _words("etc ecc enz itd itp atd apod dll dsb dst dkk v.v vv")
_TITLES_OF: Final = {
    "hi": _words(
        "डॉ डा प्रो पं कु सु स्व मो मि लि प्रा कं इंजी एड सं क्र ई.पू वि.सं रु कि.मी कि.ग्रा से.मी मि.मी बी.ए एम.ए पी.एच.डी"
    ),
    "bn": _words("ডা ড মো মোছা মি প্রফে অধ্যা ইঞ্জি অ্যাড লি কো প্রা সা রা খ্রি খ্রি.পূ বি.দ্র কি.মি সে.মি মি.মি বি.এ এম.এ"),
    "ar": _words("د أ م أ.د د.م أ.م ق.م ص.ب ش.م ج.م.ع"),
    "id": _words(
        "Drs Dra Ir Hj K.H Tn Ny Nn Sdr Sdri Bpk Bp Yth Kol Letkol Mayjen Brigjen Kapt Jl Jln Gg Kec Kab Kel "
        "Prov a.n u.p d.a s.d"
    ),
    "vi": _words("TP Tp TX Tx GS PGS TS TSKH ThS Ths Th.S BS KS KTS NXB"),
}
"""Words that a full stop abbreviates, of large languages for which no library has them: sentencex has the
names of letters for Hindi and Bengali, and English words for Indonesian and Vietnamese."""
_NUMBERED_OF: Final = {
    "hi": _words("नं पृ अ"), "bn": _words("নং পৃ অ"), "ar": _words("ص ج ط ت ع ف"),
    "id": _words("hlm hal tgl no telp vol jld Rp"), "vi": _words("tr Tr ĐT SĐT đt STT"),
}  # fmt: skip


@lru_cache(maxsize=256)
def lexicon(language: str) -> Lexicon:
    """The lexicon of "de", "de-AT", ...; beside English and German, mostly of what sentencex knows."""
    known = primary(language)
    return LEXICONS.get(known) or Lexicon(
        titles=_TITLES | _TITLES_OF.get(known, frozenset()),
        numbered=_NUMBERED_OF.get(known, frozenset()),
        closing=_ENUMERATION_ENDS,
        names=frozenset(),
        starters=frozenset(),
        asks_by_semicolon=known == "el",
        known_to=known,
    )


@lru_cache(maxsize=4_096)
def _is_abbreviation(language: str, word: str) -> bool:
    """Whether sentencex, which is told no more than this word and that another one follows, sees no end.

    Half of a surrogate pair is no word; sentencex takes whole characters only.
    """
    return word.isprintable() and len(sentencex.segment(language, f"{word}. {(word + word).title()}")) == 1


class Strength(IntEnum):
    """How good a place a break is."""

    NONE = 0
    """No place to cut."""
    WORD = 1
    PAUSE = 2
    """A clause or sentence ends, but inside quotation marks or brackets, or before a small letter."""
    CLAUSE = 3
    SENTENCE = 4
    PARAGRAPH = 5
    """Ends what came before even if it is very short."""


WORD_REACH: Final = 64
"""Characters of a word, from its end, that are looked at."""
NEXT_REACH: Final = 24
"""Characters of the following word that are looked at, at most."""

OPENERS: Final = "\"'“”„‘‚«»‹›([{*_~`「『【（《¿¡"
_QUOTES_AND_BRACKETS: Final = frozenset("\"'“”‘’«»‹›)]}」』】）》")
SENTENCE_MARKS: Final = "。！？｡﹖﹗।॥။።፧፨។៕᠃᠉꓿꘎꘏꧉꫰꫱꯫༎܀܁܂߹᱾᱿"
"""Marks that end a sentence wherever they stand, of scripts that may put no blank after them: of Unicode's
property Sentence_Terminal, without the marks that words and numbers have as well."""
CLAUSE_MARKS: Final = "，、；：၊፣፤፥፦༔"
_STRONG: Final = frozenset("!?‽⁇⁈⁉؟۔։؝؞．﹒᭚᭛᭞᭟\u037e" + SENTENCE_MARKS)
_STRONG_CLASS: Final = re.escape("".join(sorted(_STRONG)))
_ENDING: Final = re.compile(
    rf"(?P<mark>[.…{_STRONG_CLASS}]+|[,;:؛،՝{CLAUSE_MARKS}]+|[—–-]+)"
    rf"(?:[\"'“”‘’«»‹›)\]}}」』】）》*_~`¹²³⁰⁴-⁹{EMOJI}]|\[\^?\d[\d,;\s–-]{{0,20}}\])*$"
)
_CLAUSE_STARTS: Final = frozenset(",;:؛،՝—–-" + CLAUSE_MARKS)
UNMARKED: Final = "\u0e00-\u0e7f\u0e80-\u0eff"
"""Thai and Lao, which end sentences and clauses by a blank alone: the inside of a regex character class."""
_BETWEEN_UNMARKED: Final = re.compile(f"[{UNMARKED}][^{UNMARKED}]?\\Z")
_REPEATED: Final = "ๆໆ"
"""Signs that a word is said twice, after which its phrase goes on."""
UNMARKED_LENGTH: Final = 40
"""Characters of Thai or Lao from which a blank counts as the end of a sentence."""
_I: Final = re.compile(r"I(?:['’]\w+)?\W*")
_NEXT_INITIAL: Final = re.compile(r"[A-Z]\.")
_ROMAN: Final = re.compile(r"[IVXLC]{2,}")
_DOTTED: Final = re.compile(r"(?:[^\W\d_]{1,2}\.)+[^\W\d_]{1,2}")


def judge(
    word: str, previous: str, following: str, whole: bool, lexicon: Lexicon, *, small: bool = False
) -> Strength | None:
    """The strength of the break between `word` and `following`; None: more of `following` is needed.

    `word` may be cut at its start, `following` at its end; `whole` says that no more of it will come.
    `previous` is the word before on the same line, without marks. `small`: the sentence began with a small
    letter, so that the next one may, too.
    """
    if _BETWEEN_UNMARKED.search(word) and re.match(f"[{UNMARKED}]", following):
        return Strength.WORD if word[-1] in _REPEATED else Strength.CLAUSE
    if word[-1:].isalpha() or word[-1:].isdecimal() or (ending := _ENDING.search(word)) is None:
        return Strength.WORD
    core, mark = word[: ending.start()].lstrip(OPENERS), ending["mark"]
    if mark[0] == ";" and lexicon.asks_by_semicolon:
        return Strength.SENTENCE
    if mark[0] in _CLAUSE_STARTS:
        return _clause(core or previous, mark, standing_alone=not core, following=following)
    peek = following.lstrip(OPENERS)
    if not whole and len(peek) < 2:
        return None
    enclosed = not _QUOTES_AND_BRACKETS.isdisjoint(word[ending.end("mark") :])
    goes_on = _small(peek)
    if not _STRONG.isdisjoint(mark):
        if goes_on and core + mark in lexicon.exclaiming:
            return Strength.WORD
        return Strength.PAUSE if goes_on and enclosed else Strength.SENTENCE
    if len(mark) > 1 or mark == "…":
        return _trailing_off(peek, whole)
    if goes_on:
        return Strength.PAUSE if enclosed else _before_small(core, previous, lexicon, small=small)
    return _full_stop(core, previous, peek, whole, lexicon)


def _clause(core: str, mark: str, *, standing_alone: bool, following: str) -> Strength:
    if core[-1:].isdigit() and following[:1].isdigit():
        return Strength.WORD
    if mark[0] in "–-" and not standing_alone:
        return Strength.WORD
    return Strength.CLAUSE


def _small(peek: str) -> bool:
    """Whether a word goes on with the sentence: small letters, but not as in iPhone."""
    return peek[:1].islower() and not peek[1:2].isupper()


def _trailing_off(peek: str, whole: bool) -> Strength | None:
    if not peek[:1].isupper():
        return Strength.PAUSE if peek[:1].isalnum() else Strength.SENTENCE
    if peek[0] == "I" and not whole:
        return None
    return Strength.PAUSE if _I.fullmatch(peek) else Strength.SENTENCE


def _before_small(core: str, previous: str, lexicon: Lexicon, *, small: bool) -> Strength:
    """Of a full stop before a small letter: an abbreviation, or a sentence of a text without capitals."""
    if core.isdigit():
        return Strength.SENTENCE if small and not lexicon.stops_after_numbers else Strength.WORD
    if len(core) < 2 or _DOTTED.fullmatch(core) or previous + core in lexicon.pairs:
        return Strength.WORD
    lists = (lexicon.titles, lexicon.names, lexicon.closing)
    spellings = (core, core.capitalize()) if small else (core,)
    if core in lexicon.numbered or any(one in words for one in spellings for words in lists):
        return Strength.WORD
    return Strength.SENTENCE if small else Strength.PAUSE


def _full_stop(core: str, previous: str, peek: str, whole: bool, lexicon: Lexicon) -> Strength | None:
    outline = len(core) == 1 and core.isupper() and not previous
    small = core[:1].lower() + core[1:]
    if outline or core in lexicon.titles or small in lexicon.titles or previous + core in lexicon.pairs:
        return Strength.WORD
    closing = core in lexicon.closing
    if lexicon.known_to and core[-1:].isalpha() and not closing and _is_abbreviation(lexicon.known_to, core):
        return Strength.WORD
    if (core in lexicon.numbered or core.endswith(lexicon.before_number)) and peek[:1].isdigit():
        return Strength.WORD
    initial = _initial(core, previous, peek) and previous not in lexicon.lettered
    names = core in lexicon.names or initial or _DOTTED.fullmatch(core) is not None
    ordinal = lexicon.stops_after_numbers and core.isdigit() and len(core) <= 3
    reign = lexicon.stops_after_numbers and _ROMAN.fullmatch(core) is not None
    if not (names or closing or ordinal or reign):
        return Strength.SENTENCE
    if not whole:
        return None
    after = peek.rstrip(".,;:!?…")
    if ordinal:
        ends = not german_ordinal(previous, after, lexicon)
    elif closing:
        ends = after not in lexicon.not_starters
    else:
        ends = after in lexicon.starters or (core in lexicon.names and not after[:1].isalnum())
    return Strength.SENTENCE if ends else Strength.WORD


def _initial(core: str, previous: str, following: str) -> bool:
    """J. as in J. R. R. Tolkien, I. as in I. M. Pei; not the I of "so do I." """
    if core == "I":
        return len(previous) == 1 or _NEXT_INITIAL.match(following) is not None
    return len(core) == 1 and (core.isupper() or core.islower())


def german_ordinal(previous: str, following: str, lexicon: Lexicon) -> bool:
    """Whether the number between these words, written with a full stop, is an ordinal."""
    if following in lexicon.months:
        return True
    return previous in lexicon.before_ordinal and following not in lexicon.starters
