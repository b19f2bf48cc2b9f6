"""Who is held back from lists so that their effect can be measured, and what the effect was."""

from profiles.campaign.effects import Effect, Reached, Sums, effect, on_reached, verdicts
from profiles.campaign.outcomes import Asked, uplift_of
from profiles.campaign.uplift import Measured, Uplift, from_people, from_sums

__all__ = [
    "Asked",
    "Effect",
    "Measured",
    "Reached",
    "Sums",
    "Uplift",
    "effect",
    "from_people",
    "from_sums",
    "on_reached",
    "uplift_of",
    "verdicts",
]
