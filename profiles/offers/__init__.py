"""What is offered to whom on a list: by published tiers, or by what it is worth under caps."""

from profiles.offers.chosen import Offered, offered
from profiles.offers.spec import OfferSpec, read_offer

__all__ = ["OfferSpec", "Offered", "offered", "read_offer"]
