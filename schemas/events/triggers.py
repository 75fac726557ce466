"""Which events the workers hear of."""

from typing import Final

TRIGGERS: Final = frozenset(
    {
        "session.started",
        "session.ended",
        "session.renamed",
        "member.added",
        "member.removed",
        "settings.changed",
        "owner.changed",
        "turn.requested",
        "turn.completed",
        "turn.stopped",
        "turn.failed",
        "text.completed",
        "tool.started",
        "session.end_requested",
        "narration.requested",
        "transcript.final",
        "transcript.failed",
        "playback.ended",
    }
)
"""Types that also leave a pointer in the partition's trigger stream, for the workers."""
