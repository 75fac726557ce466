"""Tags of BCP 47: which ones are taken, and which voices a tag means."""

import pytest
from pydantic import TypeAdapter, ValidationError

from schemas.languages import LanguageChoice, LanguageTag, language_name, language_tag, primary, speaks
from schemas.settings import SessionSettings

TAG: TypeAdapter[str] = TypeAdapter(LanguageTag)


@pytest.mark.parametrize(
    ("given", "written"),
    [
        *(("en", "en"), ("de", "de"), ("pt-BR", "pt-BR"), ("zh-Hant-HK", "zh-Hant-HK"), ("es-419", "es-419")),
        *(("EN-us", "en-US"), ("sr-latn", "sr-Latn"), ("iw", "he"), ("yue", "yue"), ("ckb", "ckb")),
        *(("de-CH-1996", "de-CH-1996"), ("sl-rozaj", "sl-rozaj"), ("fil", "fil"), ("gsw", "gsw")),
        *(("en-GB-u-ca-gregory", "en-GB-u-ca-gregory"), ("vi-VN-x-central", "vi-VN-x-central")),
    ],
)
def test_registered_tags_are_taken_and_written_in_the_usual_way(given: str, written: str) -> None:
    assert TAG.validate_python(given) == written


@pytest.mark.parametrize(
    "given",
    [
        "xx",
        "english",
        "e",
        "",
        "en-",
        "-en",
        "en us",
        "12",
        "und",
        "mul",
        "zxx",
        "x-mine",
        "en-XXXXX",
        "auto",
        "é",
    ],
)
def test_a_malformed_language_tag_is_refused(given: str) -> None:
    with pytest.raises(ValidationError):
        TAG.validate_python(given)


def test_a_session_begins_in_english_and_takes_any_language_and_auto() -> None:
    choices: TypeAdapter[str] = TypeAdapter(LanguageChoice)
    assert SessionSettings().language == "en"
    assert [choices.validate_python(one) for one in ("de", "zh-tw", "auto")] == ["de", "zh-TW", "auto"]
    assert SessionSettings.model_validate_json('{"language": "de"}').language == "de"


@pytest.mark.parametrize(
    ("name", "tag"),
    [
        ("en-us", "en-US"),
        ("en_GB", "en-GB"),
        ("cmn-latn-pinyin", "cmn-Latn-pinyin"),
        ("en-us-nyc", "en"),
        ("zh-cn", "zh-CN"),
    ],
)
def test_names_of_speech_models_become_tags(name: str, tag: str) -> None:
    assert language_tag(name) == tag


def test_a_voice_speaks_a_language_whatever_its_region() -> None:
    assert speaks(("en-US", "cmn"), "en-GB")
    assert speaks(("en-US", "cmn"), "zh-Hant")
    assert speaks(("nb",), "no")
    assert speaks(("*",), "und")
    assert not speaks(("en-US",), "de")
    assert not speaks((), "en")
    assert not speaks(("zh",), "yue")
    assert (primary("pt_BR"), primary("auto")) == ("pt", "auto")


def test_a_language_is_named_in_messages() -> None:
    assert [language_name(one) for one in ("zh-Hant", "yo", "und")] == [
        *("Chinese (zh-Hant)", 'the language "yo"', "the language of this sentence"),
    ]
