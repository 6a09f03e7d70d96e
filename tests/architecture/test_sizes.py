"""Files and functions stay small enough to be read."""

import ast

from tests.architecture.tree import SOURCES, name

MODULE_LINES = 500
FUNCTION_LINES = 60


def test_modules() -> None:
    lengths = {name(file): len(file.read_text().splitlines()) for file in SOURCES}
    assert {file: length for file, length in lengths.items() if length > MODULE_LINES} == {}


def test_functions() -> None:
    lengths = {
        f"{name(file)}:{node.name}": (node.end_lineno or 0) - node.lineno + 1
        for file in SOURCES
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {function: length for function, length in lengths.items() if length > FUNCTION_LINES} == {}
