"""Abbreviations and tell-tale words of each language, without their full stops."""

from dataclasses import dataclass
from typing import Final


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


def lexicon(language: str) -> Lexicon:
    """The lexicon of "de", "de-AT", ...; English for a language that we have none of."""
    return LEXICONS.get(language[:2].lower(), ENGLISH)
