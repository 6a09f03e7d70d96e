"""What is counted of actions, for Prometheus."""

from prometheus_client import Counter, Histogram

CALLS = Counter("parley_action_calls_total", "Calls of actions by how they ended", ["action", "status"])
SECONDS = Histogram(
    "parley_action_seconds", "Time of one call", ["action"], buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15)
)
REPAIRS = Counter("parley_action_repairs_total", "Arguments of models that had to be repaired", ["action"])
