"""The vocabulary: dataclasses that cross a process border, and the rules between them. No I/O."""
