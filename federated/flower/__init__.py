"""Flower's training loop over masked sums. Telemetry and update checks are off before any import.

Whatever the environment says: who deploys a node may not switch them on by accident. All that
imports Flower imports this package first.
"""

import os

os.environ |= {
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
    "FLWR_TELEMETRY_ENABLED": "0",
}
