"""The dry run that an admin asks for: everything that a call would do, but for the doing."""

import asyncio

from packages.core.db.base import new_id
from packages.core.db.tables.actions import ActionConfig
from packages.core.domain.tenants import BrandProfile
from packages.core.errors import NotFound
from services.orchestrator.acting import arguments, results
from services.orchestrator.acting.runner import Actions, TurnContext
from services.orchestrator.acting.schemas import DryRun, DryRunResult
from services.orchestrator.actions import ActionFailed, Customer
from services.orchestrator.outside import OutsideFailed


async def rehearsed(actions: Actions, config: ActionConfig, brand: BrandProfile, body: DryRun) -> DryRunResult:
    """Check the arguments as a model's, and rehearse.

    Raises:
        NotFound: the action has no such tool.
    """
    configured = actions.configs.ready(config)
    tool = next((one for one in configured.tools if body.tool in {None, one.name}), None)
    if tool is None:
        raise NotFound("The action has no such tool.")
    checked = arguments.checked(body.arguments, tool.parameters)
    result = DryRunResult(
        ok=False, arguments=checked.arguments, repairs=checked.repairs, problems=checked.problems, data={}, error=None
    )
    if checked.problems:
        return result
    turn = TurnContext(tenant_id=config.tenant_id, brand=brand, conversation_id=None, requested_by="admin")
    context = actions.context(configured, tool, Customer(), turn, new_id())
    try:
        async with asyncio.timeout(context.seconds):
            given = await configured.action.rehearse(checked.arguments, context)
        result.ok, result.data, result.error = given.ok, results.cleaned(given.data), given.error
    except (ActionFailed, OutsideFailed) as failure:
        result.error = failure.message
    except TimeoutError:
        result.error = "It took too long."
    return result
