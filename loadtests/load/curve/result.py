"""The curve as JSON. Readers look at `version` first; a field that means something else gets a new one."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from loadtests.load.result import Result


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Step(_Part):
    """So many people came each second, whether or not others had been answered."""

    per_s: float
    came: int
    people_mean: float
    """Inside while people came, on average."""
    people_most: int
    admitted: int
    refused: int
    refused_inside: int
    """Of them, those whose earlier question had been taken."""
    refused_untold: int
    """Of them, those who were not told when to come back."""
    codes: dict[str, int]
    """Of refusals and failures."""
    retry_after_s: tuple[float, float] | None
    """The least and the most that the refused were told to wait."""
    not_answered: int
    """Failed, or still there when the step was over."""
    answers: int
    ttfa_p50_ms: float | None
    """Time to first audio of those who were admitted, from when their question was due; of their first one
    that is when they were due to come, so that opening a session and connecting are part of it."""
    ttfa_p95_ms: float | None
    ratio_p50: float | None
    """Of the first step's."""
    ratio_p95: float | None
    answers_with_gaps: int
    faults: dict[str, int]
    """What must never happen: cut tails, cross-talk, facts lost, doubled, disordered or differing."""
    gateway_cpu_ms_each: float | None
    """Processor time of the gateways for each who was admitted, with what they take when idle; None: not
    ours to look at."""
    gateway_mb_each: float | None
    """What the gateways' memory grew by in this step, for each of the most who were inside at once."""
    cores: float | None
    """Processor cores that the whole system used while people came."""
    client_late_p99_ms: float
    client_late: bool
    """This client was late itself, so that the figures are partly its own."""

    stolen: float = 0.0
    """Which part of the processors other machines had meanwhile."""

    @property
    def wrong(self) -> int:
        return sum(self.faults.values())


class Verdict(_Part):
    """A statement, and whether it was kept. None: there was nothing to judge, which counts as not kept."""

    says: str
    kept: bool | None
    found: str


class Curve(_Part):
    """One run. `whole`: what `make load` says of each step."""

    version: Literal[2] = 2
    """1: time to first audio of a first question began when its person was connected."""
    when: str
    machine: str
    commit: str
    command: str
    own_system: bool
    scenario: str
    seconds: float
    """Of each step; the first one is twice as long, because everything is compared with it."""
    stopped: bool = False
    """Before its end, by hand or by an error: steps are missing, or the last one is not whole."""
    late: float
    """So many times as late as in the first step (p95) is where load is said to be felt."""
    flat: float
    """And so many times is what those who are let in beyond that may get."""
    steps: tuple[Step, ...]
    verdicts: tuple[Verdict, ...]
    whole: tuple[Result, ...]
