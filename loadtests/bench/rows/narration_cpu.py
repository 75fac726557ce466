"""Processor time of a minute of narration: the whole system, beside its engines in one process."""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from loadtests.bench.measured_row import MeasuredRow
from loadtests.bench.rows.first_audio import PROMPTS, DirectEngines
from loadtests.client.received_answers import CallerPlan, ask_together
from loadtests.report.run_info import say
from loadtests.report.tables import ComparisonRow
from loadtests.servers.system_processes import SystemMeter, SystemUsage
from schemas.settings import AppSettings

TOKENS: Final = 64
_RAY: Final = frozenset({"Controller", "Proxy", "Ray", "Rest"})
"""Roles that are not of the system itself; the note says how much they took."""
_WARM_UP: Final = 1


@dataclass
class NarrationCost:
    """Processor seconds for a minute of sound, narration by narration."""

    ours: list[float] = field(default_factory=list)
    floor: list[float] = field(default_factory=list)
    by_role: Counter[str] = field(default_factory=Counter)
    """Processor seconds of all of them."""
    sound_s: float = 0.0


async def narrating(url: str, meter: SystemMeter, settings: AppSettings, rounds: int) -> NarrationCost:
    """The same questions to both, in turns, at temperature 0; the first is thrown away."""
    wish = settings.session.model_copy(update={"temperature": 0.0, "max_tokens": TOKENS})
    habit = CallerPlan(settings={"temperature": 0.0, "max_tokens": TOKENS})
    floor, found = DirectEngines(settings), NarrationCost()
    try:
        for number in range(rounds + _WARM_UP):
            prompt = PROMPTS[number % len(PROMPTS)]
            say(f"h: narration {number} of {rounds}")
            before = await asyncio.to_thread(meter.read)
            heard = await ask_together(url, 1, habit, [prompt])
            used = (await asyncio.to_thread(meter.read)).since(before)
            if heard.failures:
                raise RuntimeError(heard.failures[0])
            cpu = time.process_time()
            sound_s = await floor.narrate(prompt, wish)
            direct = time.process_time() - cpu
            if number >= _WARM_UP:
                _note(found, used, heard.sound_s)
                found.floor.append(60 * direct / sound_s)
    finally:
        await floor.aclose()
    return found


def _note(found: NarrationCost, used: SystemUsage, sound_s: float) -> None:
    # The log server says itself what it took, to a finer grain than its process does.
    spent = {**used.cpu_s, "Log server": used.log_cpu_s}
    found.ours.append(60 * sum(cpu for role, cpu in spent.items() if role not in _RAY) / sound_s)
    found.by_role.update(spent)
    found.sound_s += sound_s


def narrated_row(found: NarrationCost) -> MeasuredRow:
    """With what each part took of it."""
    minute = {role: 60 * cpu / found.sound_s for role, cpu in found.by_role.most_common()}
    parts = [f"{role} {cpu:.2f}" for role, cpu in minute.items() if role not in _RAY and cpu >= 0.005]
    around = sum(cpu for role, cpu in minute.items() if role in _RAY)
    row = ComparisonRow(
        "CPU for a minute of narration, real engines",
        "s",
        found.ours,
        found.floor,
        "same engines, one process",
        "-",
        None,
        note=f"{', '.join(parts)}; Ray beside it {around:.2f}",
    )
    return MeasuredRow.each("h.minute", row)
