"""The conversation engine: a question in, a grounded answer or an honest refusal out. Start reading at `turn.py`."""
