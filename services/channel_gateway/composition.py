"""A message as the requests it takes: split at the channel's limits, in its dialect, with fallbacks.

What a channel cannot show is said in words: buttons become numbered lines, a file that it does not take a link. The
same message is composed alike on every repeat, because a repeat resumes after the parts that the platform has.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from packages.core.domain.channels import Capabilities
from packages.core.domain.messages import Attachment, Button, OutboundResponse
from services.channel_gateway.channels import File, Part
from services.channel_gateway.formatting import Piece, fits, pieces, shortened, size
from services.channel_gateway.markdown import Document, parse
from services.channel_gateway.rendering import LONGEST_TITLE, SHORTEST_TITLE, sources

_NOTHING = "…"
_CAPTIONED = frozenset({"image", "video", "document"})
_OTHERWISE = {"sticker": ("image", "document"), "image": ("document",), "video": ("document",), "audio": ("document",)}


class Uncarried(Exception):
    """The channel has no way to show this message at all. `reason` is for people."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


def compose(response: OutboundResponse, capabilities: Capabilities, files: Sequence[File] = ()) -> list[Part]:
    """The parts of a message, in their order, at least one; the same for the same message on every repeat.

    The first part has the message's own id as `correlation_id`, part n (from 1) `<message id>:<n>`.

    Args:
        files: those of the message's attachments, in their order.

    Raises:
        Uncarried: it is a template or a reaction, and the channel has none.
    """
    contents = list(_contents(response, capabilities, files))
    return [
        Part(
            correlation_id=response.message_id if number == 0 else f"{response.message_id}:{number}",
            message_id=response.message_id,
            conversation_id=response.conversation_id,
            recipient=response.recipient,
            author=response.author,
            reply_to=response.reply_to if number == 0 else None,
            **content,
        )
        for number, content in enumerate(contents)
    ]


def _contents(
    response: OutboundResponse, capabilities: Capabilities, files: Sequence[File]
) -> Iterator[dict[str, Any]]:
    """What differs between the parts: text, file, buttons, template, reaction."""
    if response.template:
        if not capabilities.templates:
            raise Uncarried("no_templates", f"{capabilities.label} has no message templates.")
        yield {"template": response.template}
        return
    if response.reaction:
        if not capabilities.reactions:
            raise Uncarried("no_reactions", f"{capabilities.label} cannot show reactions.")
        yield {"reaction": response.reaction}
        return
    if not (response.attachments or response.buttons):
        yield from (_text(piece) for piece in _words(_parsed(response.text, capabilities), response, capabilities))
        return
    yield from _rich(response, capabilities, files)


def _rich(response: OutboundResponse, capabilities: Capabilities, files: Sequence[File]) -> Iterator[dict[str, Any]]:
    """Files first, one each; then the words, unless they fit beneath the first file. The last has the buttons."""
    sendable, lines = _files(response.attachments, capabilities, files)
    shown = _buttons(response.buttons, capabilities)
    document = _parsed(response.text, capabilities).followed_by("\n".join([*lines, *shown.lines]))
    if sendable and not (sendable[0].caption or shown.buttons or response.citations):
        caption = _caption(document, sendable[0].file.kind, capabilities)
        sendable[0], document = replace(sendable[0], caption=caption), Document("") if caption else document
    for found in sendable:
        yield {"file": found.file} | (_text(found.caption) if found.caption else {})
    if document.text or response.citations or shown.buttons or not sendable:
        words = _words(document, response, capabilities)
        if shown.buttons:
            words = _room_for_buttons(words, capabilities)
        for piece in words[:-1]:
            yield _text(piece)
        yield _text(words[-1]) | {"buttons": shown.buttons}


def _text(piece: Piece) -> dict[str, Any]:
    return {"text": piece.text, "plain": piece.plain}


def _parsed(source: str, capabilities: Capabilities) -> Document:
    return parse(source, links=capabilities.markdown == "telegram_html")


def _pieces(document: Document, capabilities: Capabilities, limit: int) -> list[Piece]:
    return pieces(document, capabilities.markdown, limit, capabilities.text_unit)


def _words(document: Document, response: OutboundResponse, capabilities: Capabilities) -> list[Piece]:
    """The text and its sources, at least one piece. Titles are shortened before the text is split for their sake."""
    limit, listed = capabilities.text_limit, ""
    if not response.citations:
        return _pieces(document, capabilities, limit) or [Piece(_NOTHING, _NOTHING)]
    for longest_title in (LONGEST_TITLE, SHORTEST_TITLE):
        listed = sources(response.citations, longest_title)
        whole = document.followed_by(listed)
        if fits(whole, capabilities.markdown, limit, capabilities.text_unit):
            return _pieces(whole, capabilities, limit) or [Piece(_NOTHING, _NOTHING)]
    found, below = _pieces(document, capabilities, limit), _pieces(Document(listed), capabilities, limit)
    if found and len(below) == 1:
        joined = Piece(f"{found[-1].text}\n\n{below[0].text}", f"{found[-1].plain}\n\n{below[0].plain}")
        if size(joined.text, capabilities.text_unit) <= limit:
            return [*found[:-1], joined]
    return [*found, *below]


@dataclass(frozen=True, slots=True)
class _Sendable:
    """A file that the channel takes, and the words beneath it."""

    file: File
    caption: Piece | None = None


def _files(
    attachments: Sequence[Attachment], capabilities: Capabilities, files: Sequence[File]
) -> tuple[list[_Sendable], list[str]]:
    """What can be sent as a file, and lines for the rest: links, and captions that cannot go beneath their file."""
    sendable: list[_Sendable] = []
    lines: list[str] = []
    for place, attachment in enumerate(attachments):
        file = files[place] if place < len(files) else None
        words = attachment.caption or ""
        if file and (fitting := _fitting(file, capabilities)):
            caption = _caption(_parsed(words, capabilities), fitting.kind, capabilities)
            sendable.append(_Sendable(fitting, caption))
            lines += [words] if words and not caption else []
        elif address := (file.url if file else attachment.url):
            name = (file.filename if file else attachment.filename) or attachment.kind
            lines += [line for line in (words, f"{name}: {address}") if line]
    return sendable, lines


def _fitting(file: File, capabilities: Capabilities) -> File | None:
    """The file in the kind under which the channel takes it, if there is one."""
    for kind in (file.kind, *_OTHERWISE.get(file.kind, ())):
        if file.size <= capabilities.media.get(kind, -1):
            return file if kind == file.kind else replace(file, kind=kind)
    return None


def _caption(document: Document, kind: str, capabilities: Capabilities) -> Piece | None:
    """The words beneath a file of this kind; None if there are none, or they do not fit there."""
    limit = capabilities.caption_limit
    if kind not in _CAPTIONED or not fits(document, capabilities.markdown, limit, capabilities.text_unit):
        return None
    found = _pieces(document, capabilities, limit) if limit else []
    return found[0] if len(found) == 1 else None


@dataclass(frozen=True, slots=True)
class _Shown:
    """Buttons as a channel shows them, and lines of text for those that it cannot."""

    buttons: tuple[Button, ...] = ()
    lines: tuple[str, ...] = ()


def _buttons(buttons: Sequence[Button], capabilities: Capabilities) -> _Shown:
    """Buttons within the limits, else a list, else numbered lines; links that cannot be buttons become lines.

    Links and replies mix only where the channel counts them alike.
    """
    links = [button for button in buttons if button.url]
    replies = [button for button in buttons if not button.url]
    mixed = capabilities.link_buttons >= capabilities.buttons > 0
    if mixed and len(buttons) <= capabilities.buttons:
        return _Shown(_within(buttons, capabilities))
    lines: list[str] = []
    kept: Sequence[Button] = ()
    if replies and len(replies) <= max(capabilities.buttons, capabilities.list_rows):
        kept = replies
    else:
        lines += [_line(f"{number}. {button.title}", button) for number, button in enumerate(replies, start=1)]
    if links and not kept and len(links) <= capabilities.link_buttons:
        kept = links
    else:
        lines += [f"{button.title}: {button.url}" for button in links]
    return _Shown(_within(kept, capabilities), tuple(lines))


def _line(words: str, button: Button) -> str:
    return f"{words} – {button.description}" if button.description else words


def _within(buttons: Sequence[Button], capabilities: Capabilities) -> tuple[Button, ...]:
    """Titles short enough, and no two alike; what comes back from a tap stays the whole title."""
    limit = capabilities.button_limit or 1_000
    titles: set[str] = set()
    found: list[Button] = []
    for number, button in enumerate(buttons, start=1):
        title = shortened(button.title, limit)
        if title in titles:
            title = f"{shortened(button.title, max(1, limit - len(str(number)) - 1))} {number}"
        titles.add(title)
        payload = button.payload if button.url else button.payload or button.title
        found.append(replace(button, title=title, payload=payload))
    return tuple(found)


def _room_for_buttons(words: list[Piece], capabilities: Capabilities) -> list[Piece]:
    """Texts with buttons are bounded like captions; the words before the last ones go ahead of them."""
    limit = min(capabilities.caption_limit or capabilities.text_limit, capabilities.text_limit)
    last = words[-1]
    if size(last.text, capabilities.text_unit) <= limit:
        return words
    return [*words[:-1], *_pieces(Document(last.plain), capabilities, limit)]
