"""Which manager takes which lead, by what became of earlier ones."""

from profiles.assignment.history import DAYS, Loaded, load_leads
from profiles.assignment.learned import Learned
from profiles.assignment.transport import transported

__all__ = ["DAYS", "Learned", "Loaded", "load_leads", "transported"]
