"""The one place that imports Flower. Telemetry and update checks are off before it is imported.

Whatever the environment says: who deploys a node may not switch them on by accident.
"""

import os

os.environ |= {
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
    "FLWR_TELEMETRY_ENABLED": "0",
}
