"""Keeps count of open quotation marks and brackets, forgivingly."""

from typing import Final

_PAIRS: Final = {
    "(": ")", "[": "]", "{": "}", "「": "」", "『": "』", "【": "】", "（": "）",
    "„": "“”", "“": "”", "«": "»", "»": "«",
}  # fmt: skip
_EITHER_WAY: Final = '"`'
NESTING_MARKS: Final = "".join(dict.fromkeys("".join([*_PAIRS, *_PAIRS.values(), _EITHER_WAY])))
_BEFORE_OPENING: Final = frozenset("([{„“«»—–-*_\"'`")
_DEEPEST: Final = 8


class Nesting:
    """Knows whether a place lies inside quotation marks or brackets.

    A mark that is never closed, or closes nothing, does no lasting harm: what was opened more than
    REACH characters ago no longer counts.
    """

    REACH: Final = 120

    def __init__(self) -> None:
        self._open: list[tuple[str, int]] = []

    def clear(self) -> None:
        self._open.clear()

    def deep(self, at: int) -> bool:
        return bool(self._open) and at - self._open[-1][1] <= self.REACH

    def meet(self, mark: str, at: int, before: str) -> None:
        """A mark at this place, after that character."""
        while self._open and at - self._open[0][1] > self.REACH:
            del self._open[0]
        for depth in range(len(self._open) - 1, -1, -1):
            if mark in self._open[depth][0]:
                del self._open[depth:]
                return
        if self._opens(mark, before):
            del self._open[: -_DEEPEST + 1]
            self._open.append((_PAIRS.get(mark, mark), at))

    @staticmethod
    def _opens(mark: str, before: str) -> bool:
        if mark in _EITHER_WAY:
            return not before or before.isspace() or before in _BEFORE_OPENING
        if mark == "(":
            return before not in (":", ";", "=")
        return mark in _PAIRS and not (mark == "»" and before.isalnum())
