"""These tests need the optional group `torch`; `make test-torch` installs it in an environment of its own."""

import importlib.util

collect_ignore_glob = [] if importlib.util.find_spec("sentence_transformers") else ["test_*.py"]
