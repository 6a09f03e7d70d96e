"""A Twilio account as Parley knows it: its credentials, its sender, and the addresses that Twilio calls back."""

import re
from urllib.parse import quote, urlsplit, urlunsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from packages.core.domain.channels import Channel as Account
from services.channel_gateway.channels.twilio.inbound import MESSAGE_ID

_SENDER = r"^(whatsapp:)?\+[1-9]\d{6,14}$|^\d{3,8}$|^MG[0-9a-fA-F]{32}$"
_BARE_NUMBER = re.compile(r"\d{9,15}")


class TwilioCredentials(BaseModel):
    """What connects a sender. The auth token signs the webhooks; an API key, where given, makes the requests."""

    model_config = ConfigDict(populate_by_name=True)

    account_sid: str = Field(pattern=r"^AC[0-9a-fA-F]{32}$", title="Account SID")
    auth_token: SecretStr = Field(min_length=1, title="Auth token")
    sender: str = Field(
        alias="from",
        pattern=_SENDER,
        title="From",
        description="+12025550100, whatsapp:+12025550100, a short code, or a messaging service's SID (MG…)",
        json_schema_extra={"x-account-id": True},
    )
    api_key_sid: str = Field("", pattern=r"^(SK[0-9a-fA-F]{32})?$", title="API key SID")
    api_key_secret: SecretStr = Field(SecretStr(""), title="API key secret")
    signing_key_id: str = Field("", max_length=200, title="Webhook signing key ID")
    signing_key_secret: SecretStr = Field(SecretStr(""), title="Webhook signing key secret")

    @model_validator(mode="after")
    def _keys_are_whole(self) -> "TwilioCredentials":
        for name in ("api_key", "signing_key"):
            identity = self.api_key_sid if name == "api_key" else self.signing_key_id
            secret: SecretStr = getattr(self, f"{name}_secret")
            if bool(identity) != bool(secret.get_secret_value()):
                raise ValueError(f"{name}: give its id and its secret, or neither")
        return self


def credentials(account: Account) -> TwilioCredentials:
    """The account's credentials, typed."""
    opened: TwilioCredentials = account.credentials
    return opened


def is_whatsapp(account: Account) -> bool:
    """Whether the sender is a WhatsApp number. A messaging service counts as SMS."""
    return credentials(account).sender.startswith("whatsapp:")


def recipient(account: Account, address: str) -> str:
    """The address in the form that Twilio wants: numbers in E.164, on WhatsApp with its prefix."""
    if _BARE_NUMBER.fullmatch(address):
        address = f"+{address}"
    if is_whatsapp(account) and not address.startswith("whatsapp:"):
        return f"whatsapp:{address}"
    return address


def public(account: Account, url: str) -> str:
    """A URL of ours as Twilio calls it: `settings.public_url` replaces scheme and host where a channel has its own."""
    own = str(account.settings.get("public_url") or "")
    if not own:
        return url
    base = urlsplit(own)
    return urlunsplit(urlsplit(url)._replace(scheme=base.scheme, netloc=base.netloc))


def status_callback(account: Account, correlation_id: str) -> str | None:
    """Where Twilio reports what became of a message; its query names the message."""
    if not account.webhook_url:
        return None
    return f"{public(account, account.webhook_url)}?{MESSAGE_ID}={quote(correlation_id, safe='')}"


def api_base(account: Account) -> str | None:
    """What replaces scheme and host of Twilio's APIs, for a simulator or a proxy."""
    return str(account.settings.get("api_base") or "").rstrip("/") or None
