"""Which language a sentence is in: decided by script at once, among Latin spellings by a model."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.tts import sentence_language as loading
from pipeline.tts.sentence_language import sentence_language, usual_language
from schemas.languages import UNDETERMINED
from tests.pipeline.tts.short_phrases import ENGLISH, FOREIGN

SCRIPTS = {
    "你好。今天天气很好！": "zh",
    "今日はとてもいい天気ですね。": "ja",
    "오늘은 날씨가 정말 좋네요.": "ko",
    "Сегодня очень хорошая погода.": "ru",
    "Сьогодні дуже гарна погода, чи не так?": "uk",
    "الطقس جميل جدا اليوم.": "ar",
    "امروز هوا خیلی خوب است و ما می‌خواهیم برویم.": "fa",
    "आज मौसम बहुत अच्छा है।": "hi",
    "วันนี้อากาศดีมาก": "th",
    "Σήμερα ο καιρός είναι πολύ καλός.": "el",
    "מזג האוויר יפה מאוד היום.": "he",
    "Այսօր եղանակը շատ լավ է։": "hy",
    "დღეს ძალიან კარგი ამინდია.": "ka",
    "ዛሬ አየሩ በጣም ጥሩ ነው።": "am",
    "আজ আবহাওয়া খুব ভালো।": "bn",
    "இன்று வானிலை மிகவும் நன்றாக உள்ளது.": "ta",
    "ထမင်းစားပြီးပြီလား။": "my",
    "ថ្ងៃនេះអាកាសធាតុល្អណាស់។": "km",
}
LATIN = {
    "The weather is very nice today, so we should go for a walk.": "en",
    "Das Wetter ist heute sehr schön, also gehen wir spazieren.": "de",
    "Il fait très beau aujourd'hui, alors allons nous promener.": "fr",
    "Hoy hace muy buen tiempo, así que vamos a dar un paseo.": "es",
    "Oggi il tempo è molto bello, quindi andiamo a passeggio.": "it",
    "Hoje o tempo está muito bom, então vamos dar um passeio.": "pt",
    "Het weer is vandaag erg mooi, dus we gaan wandelen.": "nl",
    "Dzisiaj pogoda jest bardzo ładna, więc chodźmy na spacer.": "pl",
    "Bugün hava çok güzel, o yüzden yürüyüşe çıkalım.": "tr",
    "Hôm nay thời tiết rất đẹp, vì vậy chúng ta hãy đi dạo.": "vi",
}


@pytest.mark.parametrize(("text", "language"), SCRIPTS.items())
def test_another_script_decides_at_once(text: str, language: str) -> None:
    assert sentence_language(text, "en") == language
    assert sentence_language(text, language) == language


@pytest.mark.parametrize(("text", "language"), LATIN.items())
@pytest.mark.parametrize("usual", ["en", "de", "zh"])
def test_a_latin_spelling_tells_its_language(text: str, language: str, usual: str) -> None:
    assert sentence_language(text, usual) == language


@pytest.mark.parametrize(
    "text",
    [
        "Hello!",
        "Guten Morgen!",
        "Sí, claro.",
        "OK.",
        "12,345.67",
        "🙂",
        "",
        "He said 你好 and left.",
        "The Russian word for it is спасибо, I believe.",
        "La Sagrada Familia is in Barcelona.",
        "Run `pip install --upgrade foo` in ~/projets/maison/été now.",
        "See https://beispiel.example/seite/über-uns-und-andere for more.",
        "𝐇𝐞𝐥𝐥𝐨 there, my friend.",
    ],
)
def test_names_quotations_and_short_sentences_stay_in_the_sessions_language(text: str) -> None:
    assert sentence_language(text, "en-GB") == "en-GB"


@pytest.mark.parametrize(
    ("text", "usual"),
    [
        ("中文和日文都用漢字", "ja"),
        ("今天天氣很好", "zh-Hant"),
        ("係唔係呀", "yue"),
        ("Данас је веома лепо време, идемо у шетњу.", "sr"),
        ("Danas je veoma lepo vreme, idemo u šetnju po gradu.", "sr"),
        ("我用 Python 和 JavaScript 编程", "zh"),
        ("iPhone 16 Pro Max", "zh"),
        ("هذا هو الكتاب", "ar-EG"),
        ("ئەمڕۆ کەشوهەوا زۆر خۆشە", "ckb"),
    ],
)
def test_the_sessions_language_is_believed_in_its_own_scripts(text: str, usual: str) -> None:
    assert sentence_language(text, usual) == usual


def test_a_script_of_which_no_language_is_known_is_undetermined() -> None:
    assert sentence_language("ᏣᎳᎩ ᎦᏬᏂᎯᏍᏗ ᎠᏂᏬᏂ", "en") == UNDETERMINED


@pytest.mark.parametrize(
    ("choice", "question", "language"),
    [
        ("auto", "¿Puedes contarme una historia sobre un zorro y un farero?", "es"),
        ("auto", "今天天气怎么样？", "zh"),
        ("auto", "Hi!", "en"),
        ("auto", "¿Qué tal?", "es"),
        ("auto", "", "en"),
        ("pt-BR", "Tell me a story about a fox and a keeper of a lighthouse.", "pt-BR"),
    ],
)
def test_auto_is_the_language_of_the_question(choice: str, question: str, language: str) -> None:
    assert usual_language(choice, question, {"en", "es"}) == language


VOICES = frozenset((*FOREIGN, "en"))


@pytest.mark.parametrize("voices", [VOICES, frozenset(("en",)), frozenset()])
def test_short_phrases_are_foreign_where_a_voice_speaks_their_language(voices: frozenset[str]) -> None:
    found = [
        (language, sentence_language(phrase, "en", voices))
        for language, phrases in FOREIGN.items()
        for phrase in phrases.split("|")
    ]
    assert len(found) == 60
    assert sum(told not in (language, "en") for language, told in found) <= 1
    assert sum(language == told for language, told in found) >= (40 if voices == VOICES else 6)


def test_a_phrase_in_the_language_of_the_session_stays_in_it() -> None:
    told = [
        (language, sentence_language(phrase, language, VOICES))
        for language, phrases in FOREIGN.items()
        for phrase in phrases.split("|")
    ]
    assert [one for one in told if one[0] != one[1]] == []


def test_no_short_english_phrase_is_foreign() -> None:
    told = {phrase: sentence_language(phrase, "en", VOICES) for phrase in ENGLISH.split("|")}
    assert len(told) > 400
    assert {phrase: language for phrase, language in told.items() if language != "en"} == {}


@given(st.text(max_size=80), st.sampled_from(["en", "zh", "sr", "ckb", "am", "pt-BR"]))
def test_every_text_has_a_language(text: str, usual: str) -> None:
    assert sentence_language(text, usual, {"es", "ru", "xx"})


def test_the_model_is_loaded_once_in_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sentence_language("Guten Tag, ich hätte gern ein Zimmer mit Bad.", "en") == "de"

    def never(_cache: object) -> None:
        raise AssertionError("it was loaded again")

    monkeypatch.setattr(loading, "language_identifier", never)
    loading.load()
