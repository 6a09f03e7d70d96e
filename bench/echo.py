"""The reference for intake: a Starlette application that answers with the body it was sent, and does nothing else."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


async def echo(request: Request) -> Response:
    """Answer with the request's body."""
    return Response(await request.body())


app = Starlette(routes=[Route("/webhook", echo, methods=["POST"])])
