"""JSON as language models write it: fenced, commented, in single quotes, with trailing commas, or cut off.

Strict JSON is read as it is. What is not is tokenised and written anew; nothing is ever evaluated.
"""

import json
import re
from typing import Any

LONGEST = 20_000
_FENCE = re.compile(r"^\s*```[\w-]*[ \t]*\n?(.*?)\n?\s*```\s*$", re.DOTALL)
_WORDS = {"true": "true", "false": "false", "null": "null", "none": "null", "undefined": "null", "nan": "null"}
_QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’", "`": "`"}
_BARE = re.compile(r"[^\s,:{}\[\]\"'“‘`#]+")
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")


class NotJSON(ValueError):
    """No object can be read out of the text."""


def loads(text: str) -> Any:
    """The value that a text means.

    Raises:
        NotJSON: it means none, or is longer than 20,000 characters.
    """
    if len(text) > LONGEST:
        raise NotJSON("the block is too long")
    text = text.strip()
    try:
        return json.loads(text)
    except ValueError:
        fenced = _FENCE.match(text)
        try:
            return json.loads(rewritten(fenced.group(1) if fenced else text))
        except (ValueError, RecursionError) as error:
            raise NotJSON(str(error)) from error


def rewritten(text: str) -> str:
    """Strict JSON for loose JSON, as far as its tokens can be told; brackets left open are closed."""
    return _Writer(text).written()


class _Writer:
    """Reads loose tokens, writes strict ones."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._out: list[str] = []
        self._open: list[str] = []

    def written(self) -> str:
        while self._at < len(self._text):
            self._step(self._text[self._at])
        self._drop_comma()
        if self._out and self._out[-1] == ":":
            self._out.append("null")
        return "".join(self._out) + "".join(reversed(self._open))

    def _step(self, character: str) -> None:
        if character.isspace():
            self._at += 1
        elif character in "{[":
            self._separate()
            self._out.append(character)
            self._open.append("}" if character == "{" else "]")
            self._at += 1
        elif character in "}]":
            self._close(character)
        elif character in ",;":
            if self._out and self._out[-1] not in ",:{[":
                self._out.append(",")
            self._at += 1
        elif character in ":=":
            if self._out and self._out[-1] != ":":
                self._out.append(":")
            self._at += 2 if self._text.startswith("=>", self._at) else 1
        elif self._text.startswith("//", self._at) or character == "#":
            self._at = self._until("\n")
        elif self._text.startswith("/*", self._at):
            self._at = self._until("*/") + 2
        elif character in _QUOTES:
            self._string(_QUOTES[character])
        else:
            self._word()

    def _until(self, mark: str) -> int:
        found = self._text.find(mark, self._at)
        return len(self._text) if found < 0 else found

    def _close(self, character: str) -> None:
        self._drop_comma()
        if character in self._open:
            while self._open:
                closing = self._open.pop()
                self._out.append(closing)
                if closing == character:
                    break
        self._at += 1

    def _separate(self) -> None:
        """A comma where two values follow each other without one."""
        if self._out and self._out[-1] not in {",", ":", "{", "["}:
            self._out.append(",")

    def _drop_comma(self) -> None:
        while self._out and self._out[-1] == ",":
            self._out.pop()

    def _string(self, end: str) -> None:
        self._separate()
        characters: list[str] = []
        self._at += 1
        while self._at < len(self._text) and self._text[self._at] != end:
            if self._text[self._at] == "\\" and self._at + 1 < len(self._text):
                characters.append(self._escape())
            else:
                characters.append(self._text[self._at])
                self._at += 1
        self._at += 1
        self._out.append(json.dumps("".join(characters)))

    def _escape(self) -> str:
        following = self._text[self._at + 1]
        if following == "u" and re.fullmatch(r"[0-9a-fA-F]{4}", code := self._text[self._at + 2 : self._at + 6]):
            self._at += 6
            return chr(int(code, 16))
        self._at += 2
        return {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}.get(following, following)

    def _word(self) -> None:
        self._separate()
        found = _BARE.match(self._text, self._at)
        word = found.group() if found else self._text[self._at]
        self._at += len(word)
        if word.lower() in _WORDS:
            self._out.append(_WORDS[word.lower()])
        elif _NUMBER.fullmatch(word) and json_number(word) is not None:
            self._out.append(word)
        else:
            self._out.append(json.dumps(word))


def json_number(word: str) -> float | None:
    """The number that a word is in JSON: without leading zeros or plus sign, which mean an identifier."""
    try:
        return float(json.loads(word))
    except ValueError:
        return None
