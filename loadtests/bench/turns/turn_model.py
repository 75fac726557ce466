"""Logistic model of the end of a turn, fitted to some scripts or languages and judged by the others."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
_SHRINKING: Final = 1.0
"""L2 penalty on the coefficients of standardised signs."""
_STEPS: Final = 60
_LEAST: Final = 0.001


def logit(probability: float) -> float:
    likely = min(max(probability, _LEAST), 1 - _LEAST)
    return float(np.log(likely / (1 - likely)))


def fitted(signs: Numbers, over: Numbers) -> Numbers:
    """Coefficients of the signs (columns), and last the bias; by Newton's method."""
    mean, spread = signs.mean(axis=0), signs.std(axis=0) + 1e-9
    known = np.c_[(signs - mean) / spread, np.ones(len(signs))]
    penalty = np.eye(known.shape[1]) * _SHRINKING
    penalty[-1, -1] = 1e-6
    weights = np.zeros(known.shape[1])
    for _ in range(_STEPS):
        likely = 1 / (1 + np.exp(-known @ weights))
        slope = known.T @ (likely - over) + penalty @ weights
        weights -= np.linalg.solve((known.T * (likely * (1 - likely))) @ known + penalty, slope)
    scaled = weights[:-1] / spread
    return np.append(scaled, weights[-1] - scaled @ mean)


def left_out(signs: Numbers, over: Numbers, groups: Sequence[str]) -> Numbers:
    """Probability for each row, by the model that was fitted to the rows of all other groups."""
    likely, names = np.zeros(len(signs)), np.array(groups)
    for name in sorted(set(groups)):
        own = names == name
        weights = fitted(signs[~own], over[~own])
        likely[own] = 1 / (1 + np.exp(-(signs[own] @ weights[:-1] + weights[-1])))
    return likely
