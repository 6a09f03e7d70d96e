"""What Telegram's refusals mean. Its texts are no interface, but they are stable, and there are no finer codes.

Written after the texts in the Bot API server's source (`tdlib/telegram-bot-api`, `Client.cpp`).
"""

from telegram.error import InvalidToken, TelegramError

from services.channel_gateway.channels import SendResult
from services.channel_gateway.channels.telegram.bot import Refused, Unreached

_DEFAULT_WAIT = 5.0

# Part of the description, in lower case, and what to tell an agent. The first that fits.
_CLOSED = (
    ("bot was blocked by the user", "The customer blocked the bot."),
    ("user is deactivated", "The customer's Telegram account was deleted."),
    ("can't initiate conversation", "The customer has never started the bot, so it may not write to them."),
    ("bot was kicked", "The bot was removed from the group."),
    ("not a member", "The bot is not a member of the group."),
    ("group chat was deleted", "The group was deleted."),
    ("can't send messages to bots", "The recipient is a bot; bots cannot write to each other."),
)
_CONTENT = (
    ("chat not found", "Telegram does not know this chat; the customer has perhaps never started the bot."),
    ("not enough rights", "The bot has not the right to write this in the group."),
    ("have no rights", "The bot has not the right to write this in the group."),
    ("chat_write_forbidden", "The bot has not the right to write in the group."),
    ("topic_closed", "The group's topic is closed."),
    ("message thread not found", "The group's topic does not exist any more."),
    ("can't parse entities", "Telegram cannot read the text's formatting."),
    ("message is too long", "The text is too long for Telegram."),
    ("caption is too long", "The file's caption is too long for Telegram."),
    ("message text is empty", "There is nothing to send."),
    ("file is too big", "The file is too large for Telegram."),
    ("request entity too large", "The file is too large for Telegram."),
    ("wrong file identifier", "Telegram does not know the file."),
    ("failed to get http url content", "Telegram could not fetch the file."),
    ("photo_invalid_dimensions", "The picture's height and width are not what Telegram takes."),
    ("image_process_failed", "Telegram cannot read the picture."),
    ("voice_messages_forbidden", "The customer does not take voice messages."),
    ("reaction_invalid", "Telegram does not offer this emoji as a reaction."),
    ("message to react not found", "The message to react to does not exist any more."),
    ("message can't be reacted", "This message cannot be reacted to."),
    ("button_data_invalid", "A button's data is not what Telegram takes."),
    ("button_url_invalid", "A button's link is not what Telegram takes."),
    ("business_connection", "The business account is no longer connected to the bot."),
    ("business connection", "The business account is no longer connected to the bot."),
)
# Telegram lets a bot write in a business account's chats for a day after the customer's last words there.
_WINDOW = "business_peer_usage_missing"
_DONE = ("message is not modified", "query is too old", "message to delete not found")


def explained(error: TelegramError) -> SendResult:
    """How a send ended that raised."""
    if isinstance(error, Refused):
        return _refused(error)
    if isinstance(error, InvalidToken):
        return _down("401", "The bot token is missing or not in Telegram's form.")
    if isinstance(error, Unreached):
        return SendResult(outcome="retry", code="unreachable", reason="Telegram cannot be reached.")
    return SendResult(outcome="in_doubt", code="no_answer", reason="Telegram did not answer.")


def _refused(error: Refused) -> SendResult:
    code, said = str(error.status), error.description.lower()
    if error.moved_to:
        reason = "The group has a new address."
        return SendResult(outcome="retry", code=code, reason=reason, retry_after=0, moved_to=error.moved_to)
    if error.status == 429:
        wait = error.retry_after if error.retry_after is not None else _DEFAULT_WAIT
        return SendResult(outcome="retry", code=code, reason="Telegram asks to send more slowly.", retry_after=wait)
    if error.status >= 500 or error.status == 408:
        wait = error.retry_after if error.retry_after is not None else _DEFAULT_WAIT
        reason = "Telegram has a fault of its own."
        return SendResult(outcome="retry", code=code, reason=reason, retry_after=wait)
    if error.status in {401, 404} or "logged out" in said:
        return _down(code, "Telegram does not accept the bot token: it is wrong or was revoked.")
    if any(known in said for known in _DONE):
        return SendResult(outcome="sent")
    if _WINDOW in said:
        reason = "More than 24 hours have passed since the customer last wrote to the business account."
        return SendResult(outcome="held", code=code, reason=reason)
    plain = next((words for known, words in (*_CLOSED, *_CONTENT) if known in said), None)
    reason = plain or f"Telegram refused it: {error.description or f'status {error.status}'}"
    return SendResult(outcome="failed", code=code, reason=reason)


def _down(code: str, reason: str) -> SendResult:
    return SendResult(outcome="failed", code=code, reason=reason, scope="account", account_down=True)


def is_bad_markup(error: TelegramError) -> bool:
    """Whether the text's formatting alone was refused."""
    return isinstance(error, Refused) and error.status == 400 and "can't parse entities" in error.description.lower()


def is_bad_picture(error: TelegramError) -> bool:
    """Whether a file was refused for being no picture in Telegram's sense (too long and thin, too many pixels …)."""
    said = error.description.lower() if isinstance(error, Refused) else ""
    return any(known in said for known in ("photo_invalid_dimensions", "image_process_failed", "too big for a photo"))
