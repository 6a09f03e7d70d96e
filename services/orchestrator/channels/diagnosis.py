"""What is right and wrong with an account, in plain words: from what we know of it, and from what its platform says."""

from datetime import datetime, timedelta
from ipaddress import ip_address
from urllib.parse import urlsplit

from sqlalchemy.ext.asyncio import AsyncSession

from packages.core.db.base import now
from packages.core.db.tables.channels import ChannelConfig
from packages.core.domain.channels import Finding
from services.orchestrator.channels import repository

QUIET_AFTER = timedelta(days=2)
_LEVELS = ("ok", "info", "warning", "error")


def worst(findings: list[Finding]) -> str:
    """The level of the gravest finding."""
    return max((finding.level for finding in findings), key=_LEVELS.index, default="ok")


async def known(session: AsyncSession, config: ChannelConfig, gateway_url: str) -> list[Finding]:
    """The findings that need no platform: the public address, what came in, what did not go out, what was announced."""
    findings = [_state(config)]
    if config.channel != "webchat":
        findings += [_address(gateway_url), _heard(await repository.last_heard_at(session, config))]
    findings += [
        Finding(
            check="deliveries",
            level="warning",
            message=f"{row.count} messages of the last day were not delivered: {row.message or row.code}",
            remedy="See GET /v1/deliveries?state=failed; requeue them once the cause is gone.",
        )
        for row in await repository.failures(session, config.id)
    ]
    if held := await repository.held(session, config.id):
        message = f"{held} messages wait until their customers write again."
        findings.append(Finding(check="window", level="info", message=message))
    for row in await repository.account_events(session, config.id):
        findings.append(Finding(check=row.kind, level="info", message=f"{row.received_at:%Y-%m-%d}: {row.reason}"))
    return findings


def _state(config: ChannelConfig) -> Finding:
    if config.status == "active":
        return Finding(check="status", level="ok", message="The account is active.")
    if config.status == "disabled":
        message = "The account is switched off; nothing is received or sent."
        return Finding(check="status", level="error", message=message, remedy="Set its status to active.")
    message = f"The account needs attention: {config.status_reason or 'its platform refuses it'}"
    return Finding(check="status", level="error", message=message, remedy="Correct its credentials with PATCH.")


def _address(gateway_url: str) -> Finding:
    parts = urlsplit(gateway_url)
    if parts.scheme == "https" and not _is_local(parts.hostname or ""):
        return Finding(check="public_url", level="ok", message=f"Platforms reach the gateway at {gateway_url}.")
    return Finding(
        check="public_url",
        level="warning",
        message=f"{gateway_url} cannot be reached by the platforms: they need https and a public name.",
        remedy="Set PARLEY_PUBLIC_GATEWAY_URL to the address under which the gateway is public.",
    )


def _is_local(host: str) -> bool:
    try:
        return not ip_address(host).is_global
    except ValueError:
        return host == "localhost" or "." not in host or host.endswith((".local", ".internal"))


def _heard(at: datetime | None) -> Finding:
    if at is None:
        return Finding(
            check="heard",
            level="warning",
            message="No customer has written through this account yet.",
            remedy="Enter the webhook_url at the platform, subscribe to messages, then write to the account.",
        )
    if now() - at > QUIET_AFTER:
        message = f"A customer last wrote on {at:%Y-%m-%d %H:%M} UTC."
        remedy = "If others have written since, check the webhook's subscription at the platform."
        return Finding(check="heard", level="info", message=message, remedy=remedy)
    return Finding(check="heard", level="ok", message=f"A customer last wrote on {at:%Y-%m-%d %H:%M} UTC.")
