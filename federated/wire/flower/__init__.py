"""Jobs over Flower's fleet: the hub, a node's connection to it, and what passes between them."""

import federated.flower  # noqa: F401 (its settings come before Flower)
