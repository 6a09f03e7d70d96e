"""Bodies of webhooks with one change, for what no recorded payload shows."""

import json
from typing import Any

NUMBER_ID = "200000000000201"
NUMBER = "12025550100"


def change(field: str = "messages", **value: Any) -> bytes:
    """A body with one change of the number `NUMBER_ID`."""
    metadata = {"phone_number_id": NUMBER_ID, "display_phone_number": NUMBER}
    entry = {"id": "1", "changes": [{"field": field, "value": {"metadata": metadata, **value}}]}
    return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()


def text_message(wamid: str, **more: Any) -> dict[str, Any]:
    """A customer's message."""
    return {"from": "12025550123", "id": wamid, "type": "text", "text": {"body": "hi"}, **more}
