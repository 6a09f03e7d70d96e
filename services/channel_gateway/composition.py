"""A message as the requests it takes: split at the channel's limits, in its dialect, with fallbacks."""

from packages.core.domain.channels import Capabilities
from packages.core.domain.messages import OutboundResponse
from services.channel_gateway.channels import Part
from services.channel_gateway.rendering import parts


def compose(response: OutboundResponse, capabilities: Capabilities) -> list[Part]:
    """The parts of a message, in their order, at least one; the same for the same message on every repeat.

    The first part has the message's own id as `correlation_id`, part n (from 1) `<message id>:<n>`.
    """
    texts = parts(response.text, response.citations, capabilities.text_limit)
    return [
        Part(
            correlation_id=response.message_id if number == 0 else f"{response.message_id}:{number}",
            message_id=response.message_id,
            conversation_id=response.conversation_id,
            recipient=response.recipient,
            author=response.author,
            text=text,
            plain=text,
            reply_to=response.reply_to if number == 0 else None,
        )
        for number, text in enumerate(texts)
    ]
