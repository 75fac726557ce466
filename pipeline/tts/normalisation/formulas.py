"""Reads chemical formulas, Greek letters, powers and roots."""

import re
from collections.abc import Mapping
from typing import Final

from pipeline.tts.normalisation.numerals import RAISED, Numerals
from pipeline.tts.normalisation.recognisers import Recogniser

_ELEMENTS: Final = (
    "A[cglmrstu]|B[aehikr]?|C[adeflmnorsu]?|D[bsy]|E[rsu]|F[elmr]?|G[ade]|H[efgos]?|I[nr]?|Kr?|L[airuv]|M[cdgnot]|"
    "N[abdehiop]?|O[gs]?|P[abdmortu]?|R[abefghnu]|S[bcegimnr]?|T[abcehilms]|U|V|W|Xe|Yb?|Z[nr]"
)
_PARTS: Final = re.compile(rf"\(|\)|(?:{_ELEMENTS})|[0-9₀-₉]+|[⁺⁻²³⁴+-]+")
_SUBSCRIPTS: Final = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_WITH_SUBSCRIPTS: Final = re.compile(
    rf"(?=[A-Za-z()0-9]*[₀-₉])(?:(?:{_ELEMENTS}|\((?:(?:{_ELEMENTS})[₀-₉0-9]*){{1,6}}\))[₀-₉0-9]*){{1,12}}[²³⁴]?[⁺⁻]?(?!\w)"
)
_KNOWN: Final = re.compile(
    r"(?:H2O2?|CO2|SO[23]|NO[23]?|N2O|O[23]|N2|H2|CH4|C2H[2456]|C2H5OH|C6H12O6|NH[34]|H2SO4|HNO3|H2CO3|NaHCO3|CaCO3|Na2CO3|"
    r"Fe[23]O[34]|SiO2|Al2O3|TiO2|KMnO4|CaCl2|MgCl2|CuSO4|C8H10N4O2|Ca\(OH\)2|P2O5|UF6|SF6|CFC|LiFePO4)(?![\w-])"
)
_ROOT: Final = re.compile(r"√\s?\(?(?P<of>[0-9]{1,9}|[a-z](?!\w))\)?")


def formula_recognisers(numerals: Numerals, charges: Mapping[str, str]) -> tuple[Recogniser, ...]:
    """`charges` says "+", "-" and "root"."""

    def formula(match: re.Match[str]) -> str:
        spoken = []
        for part in _PARTS.findall(match[0]):
            plain = part.translate(_SUBSCRIPTS)
            if plain.isascii() and plain.isdigit():
                spoken.append(numerals.cardinal(plain))
            elif part[0].isalpha():
                spoken += part.upper()
            else:
                spoken += [charges.get(each, "") for each in part]
        return " ".join(filter(None, spoken))

    def root(match: re.Match[str]) -> str:
        of = match["of"]
        return f"{charges['root']} {numerals.cardinal(of) if of.isdigit() else of}"

    return (
        Recogniser("upper", _WITH_SUBSCRIPTS, formula),
        Recogniser("upper", _KNOWN, formula),
        Recogniser("sign", _ROOT, root),
    )


GREEK: Final = re.compile(r"(?<![\u0370-\u03ff\u1f00-\u1fff])[Α-Ωα-ω](?![\u0370-\u03ff\u1f00-\u1fff])")
"""A letter by itself, which is a sign and not Greek prose."""
_LETTERS: Final = [
    "alpha",
    "beta",
    "gamma",
    "delta",
    "epsilon",
    "zeta",
    "eta",
    "theta",
    "iota",
    "kappa",
    "lambda",
    "mu",
    "nu",
    "xi",
    "omicron",
    "pi",
    "rho",
    "sigma",
    "sigma",
    "tau",
    "upsilon",
    "phi",
    "chi",
    "psi",
    "omega",
]
GREEK_NAMES: Final = {chr(first + at): name for first in (0x391, 0x3B1) for at, name in enumerate(_LETTERS)}
SUPERSCRIPT: Final = re.compile(r"(?<=[^\W_])[⁻]?[⁰¹²³⁴-⁹ⁿ]+|(?<=[^\W_])\^\(?-?(?:[0-9]{1,4}|[a-z](?!\w))\)?")


def power(written: str, numerals: Numerals, words: Mapping[str, str]) -> str:
    """`words` says "2", "3" ("squared", "cubed"), "to" ("to the power of") and "-"."""
    exponent = written.translate(RAISED)
    if exponent in words:
        return f" {words[exponent]} "
    minus, digits = f"{words['-']} " if exponent[0] == "-" else "", exponent.lstrip("-")
    return f" {words['to']} {minus}{numerals.cardinal(digits) if digits.isdigit() else digits} "
