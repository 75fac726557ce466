"""Reads web addresses, e-mail addresses, file names and version numbers as people say them."""

import re
from collections.abc import Mapping
from typing import Final

from pipeline.tts.normalisation.numerals import Rule

_MAIL: Final = re.compile(r"(?<![\w.+-])(?:mailto:)?([\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4})(?!\w)")
_ADDRESS: Final = re.compile(r"(?<![\w@])(?:https?://|ftp://|(?=www\.))[^\s<>\"'`)\]}]++")
_DOMAIN: Final = re.compile(
    r"(?<![\w@./-])(?:[a-zA-Z0-9-]{1,63}\.){1,4}"
    r"(?:com|org|net|edu|gov|io|ai|dev|app|info|de|ch|eu|uk|co)(?![\w-])(?:/[^\s<>\"'`)\]}]*+)?"
)
_FILE: Final = re.compile(
    r"(?<![\w./])[\w-]{1,64}\.(?:py|js|ts|txt|md|json|ya?ml|html?|css|csv|pdf|png|jpe?g|gif|svg|sh|toml|ini|cfg|log|xml|"
    r"zip|exe|docx?|xlsx?|mp[34]|wav|c|h|cpp|rs|go|java|rb|php|sql|ipynb)(?![\w-]|\.\w)"
)
_VERSION: Final = re.compile(r"(?<![\w.,])[vV]?[0-9]{1,5}(?:\.[0-9]{1,5}){2,5}(?!\w|[.,][0-9])")
_GROUPED: Final = re.compile(r"[0-9]{1,3}(?:\.[0-9]{3})+")
_TRAILING: Final = ".,;:!?*_~"
_LONGEST_PATH: Final = 40


def address_rules(words: Mapping[str, str], *, thousands: str) -> tuple[Rule, ...]:
    """`words` says "dot", "at", "slash", "dash", "underscore", "point" and "version".

    `thousands`: the mark between groups of digits, so that a long number is no version.
    """
    names = {
        ".": words["dot"],
        "-": words["dash"],
        "_": words["underscore"],
        "/": words["slash"],
        "@": words["at"],
    }

    def spell(text: str) -> str:
        spelled = "".join(
            f" {names[each]} " if each in names else each if each.isalnum() else " " for each in text
        )
        return " ".join(spelled.split())

    def address(match: re.Match[str]) -> str:
        found = match[0].rstrip(_TRAILING)
        host, slash, path = found.partition("://")[-1 if "://" in found else 0].partition("/")
        path = re.split(r"[?#]", path, maxsplit=1)[0].strip("/")
        host = re.split(r"[?#:]", host.removeprefix("www."), maxsplit=1)[0]
        kept = host + slash + path if path and len(path) <= _LONGEST_PATH else host
        return f" {spell(kept[:200])}{match[0][len(found) :]} "

    def version(match: re.Match[str]) -> str | None:
        if thousands == "." and _GROUPED.fullmatch(match[0]):
            return None
        spoken = match[0].lstrip("vV").replace(".", f" {words['point']} ")
        return f"{words['version']} {spoken}" if match[0][0] in "vV" else spoken

    return (
        (_MAIL, lambda mail: spell(mail[1])),
        (_ADDRESS, address),
        (_DOMAIN, address),
        (_FILE, lambda name: spell(name[0])),
        (_VERSION, version),
    )
