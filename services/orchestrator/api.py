"""The routers of the API, in the order in which its description lists them."""

from fastapi import APIRouter

from services.orchestrator.acting import endpoints as acting
from services.orchestrator.auth import endpoints as auth
from services.orchestrator.brands import endpoints as brands
from services.orchestrator.channels import endpoints as channels
from services.orchestrator.conversations import endpoints as conversations
from services.orchestrator.conversations import inbound
from services.orchestrator.deliveries import endpoints as deliveries
from services.orchestrator.evaluations import endpoints as evaluations
from services.orchestrator.gaps import endpoints as gaps
from services.orchestrator.knowledge import endpoints as knowledge
from services.orchestrator.knowledge import lifecycle
from services.orchestrator.knowledge_tools import endpoints as knowledge_tools
from services.orchestrator.ledger import endpoints as ledger
from services.orchestrator.live import endpoints as live
from services.orchestrator.media import endpoints as media
from services.orchestrator.tenants import endpoints as tenants
from services.orchestrator.tickets import endpoints as tickets

ROUTERS: tuple[APIRouter, ...] = (
    auth.router,
    tenants.router,
    brands.router,
    channels.router,
    knowledge.router,
    lifecycle.router,
    knowledge_tools.router,
    gaps.router,
    evaluations.router,
    inbound.router,
    conversations.router,
    media.router,
    acting.router,
    tickets.router,
    ledger.router,
    deliveries.router,
    live.router,
)
