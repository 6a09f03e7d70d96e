"""Errors as the Cloud API words them: codes, statuses and texts of Meta's error reference."""

from collections.abc import Mapping

from services.channel_gateway.simulator.graph import COMMON, GraphError, Wording

WORDINGS: Mapping[int, Wording] = {
    **COMMON,
    2200: Wording(400, "Callback verification failed"),
    80007: Wording(400, "Rate limit issues", "The WhatsApp Business Account has reached its rate limit."),
    130429: Wording(400, "Rate limit hit", "Cloud API message throughput has been reached.", 2494055),
    130472: Wording(400, "User's number is part of an experiment"),
    130497: Wording(400, "Business account is restricted from messaging users in this country."),
    130501: Wording(400, "Message type is not currently supported"),
    131000: Wording(500, "Something went wrong", "Unknown error."),
    131005: Wording(403, "Access denied"),
    131008: Wording(400, "Required parameter is missing"),
    131009: Wording(400, "Parameter value is not valid", "The reacted message is too old."),
    131016: Wording(500, "Service unavailable", "A service is temporarily unavailable."),
    131021: Wording(400, "Recipient cannot be sender"),
    131026: Wording(400, "Message undeliverable", "Message undeliverable."),
    131030: Wording(
        400, "Recipient phone number not in allowed list", "Add the number to the list of test recipients."
    ),
    131031: Wording(403, "Account has been locked", "The business account has been locked."),
    131037: Wording(400, "Display name approval needed"),
    131042: Wording(400, "Business eligibility payment issue"),
    131045: Wording(500, "Incorrect certificate"),
    131047: Wording(400, "Re-engagement message", "More than 24 hours have passed since the recipient last replied."),
    131048: Wording(400, "Spam rate limit hit"),
    131049: Wording(400, "This message was not delivered to maintain healthy ecosystem engagement."),
    131050: Wording(
        400, "Unable to deliver the message. This recipient has chosen to stop receiving marketing messages."
    ),
    131051: Wording(400, "Unsupported message type"),
    131052: Wording(400, "Media download error"),
    131053: Wording(400, "Media upload error"),
    131055: Wording(400, "Method not allowed"),
    131056: Wording(
        400,
        "(Business Account, Consumer Account) pair rate limit hit",
        "Too many messages sent from this phone number to the same phone number in a short period of time.",
    ),
    131057: Wording(500, "Account in maintenance mode"),
    131062: Wording(400, "Business-scoped user id recipients are not supported for this message"),
    131063: Wording(400, "Marketing messages are switched off for this API"),
    131064: Wording(400, "Messaging limit lowered"),
    132000: Wording(400, "Number of parameters does not match the expected number of params"),
    132001: Wording(404, "Template name does not exist in the translation"),
    132005: Wording(400, "Template hydrated text too long"),
    132007: Wording(400, "Template format character policy violated"),
    132008: Wording(400, "Template parameter format mismatch"),
    132012: Wording(400, "Template parameter format mismatch"),
    132015: Wording(400, "Template is Paused"),
    132016: Wording(400, "Template is Disabled"),
    132068: Wording(400, "Flow is blocked"),
    132069: Wording(400, "Flow is throttled"),
    133004: Wording(503, "Server Temporarily Unavailable"),
    133010: Wording(400, "Phone number Not Registered"),
    134100: Wording(400, "Only marketing messages are supported"),
    134101: Wording(400, "Template is still syncing"),
    134102: Wording(500, "Template is not eligible"),
    135000: Wording(400, "Generic user error"),
    137000: Wording(400, "Identity key mismatch"),
}


class WhatsAppError(GraphError):
    """A refusal of the Cloud API."""

    wordings = WORDINGS
    product = "whatsapp"
