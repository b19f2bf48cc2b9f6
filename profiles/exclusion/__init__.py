"""Who is on no list, and why: everybody who is left out has one reason, which is counted."""

from profiles.exclusion.left_out import Reason, WhoMay, who_may
from profiles.exclusion.rule import ExcludeSpec, read_exclude
from profiles.exclusion.rules import Rules

__all__ = ["ExcludeSpec", "Reason", "Rules", "WhoMay", "read_exclude", "who_may"]
