"""Look something up in the brand's own system: any HTTP API that answers with JSON, as an admin describes it."""

import base64
import json
import re
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from services.orchestrator.actions import Action, ActionFailed, ActionResult, Context, Identity, Risk, Tool
from services.orchestrator.outside import IDEMPOTENCY, Answered, Call, Outside
from services.orchestrator.tool_schemas import safe_pattern

_PLACE = re.compile(r"\{([a-z][a-z0-9_.]*)\}")
_STEP = re.compile(r"([^.\[\]]+)|\[(\d*)\]")
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]


class Argument(BaseModel):
    """One thing to ask the customer for. `said`: the value must stand in the customer's own words."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    description: str = Field("", max_length=300)
    type: Literal["string", "integer", "number", "boolean"] = "string"
    format: Literal["email", "date"] | None = None
    pattern: str | None = Field(None, max_length=200)
    enum: list[str] | None = Field(None, max_length=100)
    required: bool = True
    said: bool = True

    def schema_part(self) -> dict[str, Any]:
        """This argument in the tool's JSON schema."""
        optional = {"description": self.description, "format": self.format, "pattern": self.pattern, "enum": self.enum}
        part: dict[str, Any] = {"type": self.type} | {key: value for key, value in optional.items() if value}
        return part | ({"x-said": True} if self.said and not self.enum and self.type != "boolean" else {})


class Settings(BaseModel):
    """Where and how to ask. In `url` and `body`, `{name}` stands for an argument and `{customer.id}`,
    `{customer.external_id}` or `{customer.<attribute>}` for what is on record of who writes.

    `result` maps names to paths in the answer, such as `order.items[].name`; empty gives the answer as it is. `reply`
    words the result with those names, for brands without a language model.
    """

    model_config = ConfigDict(extra="forbid")

    url: str = Field(max_length=2000, examples=["https://shop.example/api/orders/{order_id}"])
    method: Literal["GET", "POST"] = "GET"
    body: dict[str, Any] | None = None
    arguments: list[Argument] = Field(
        default_factory=lambda: [Argument(name="order_id", description="The number of the order.")], max_length=20
    )
    headers: dict[str, str] = Field(default_factory=dict, max_length=20)
    auth: Literal["none", "bearer", "basic", "header"] = "none"
    auth_name: str = Field("X-Api-Key", max_length=100, description="header name, or user name for basic")
    auth_secret: SecretStr | None = None
    result: dict[str, str] = Field(default_factory=dict, max_length=50)
    reply: str = Field("", max_length=1000)
    not_found_message: str = Field("", max_length=500)
    verified_only: bool = False
    timeout_seconds: float = Field(5.0, ge=0.2, le=10)

    @field_validator("arguments")
    @classmethod
    def _patterns_are_safe(cls, arguments: list[Argument]) -> list[Argument]:
        for argument in arguments:
            if argument.pattern is not None and not safe_pattern(argument.pattern):
                raise ValueError(
                    f"the pattern of {argument.name} is no regular expression, or one that can run for ever"
                )
        return arguments

    @field_validator("url")
    @classmethod
    def _fixed_host(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or "{" in parts.netloc or parts.username:
            raise ValueError("url is an http(s) address whose host is fixed and holds no user name")
        return url

    @field_validator("headers")
    @classmethod
    def _one_line(cls, headers: dict[str, str]) -> dict[str, str]:
        if any(re.search(r"[\r\n\0]", name + value) for name, value in headers.items()):
            raise ValueError("a header is one line")
        return headers

    @model_validator(mode="after")
    def _places_are_known(self) -> "Settings":
        names = {argument.name for argument in self.arguments}
        used = set(_PLACE.findall(self.url + json.dumps(self.body or {})))
        unknown = {place for place in used if place not in names and not place.startswith("customer.")}
        if unknown:
            raise ValueError(f"no argument is called {', '.join(sorted(unknown))}")
        return self


class OrderLookup(Action):
    """Asks the brand's system, and gives the part of the answer that the admin chose."""

    description = "Looks up an order of the customer: its state, its items and when it arrives."
    Arguments = BaseModel
    Settings = Settings
    risk = Risk.READ

    async def tools(self, name: str, description: str, settings: Any, outside: Outside, secret: str) -> list[Tool]:
        """One tool, with the arguments that the admin described."""
        parameters = {
            "type": "object",
            "properties": {argument.name: argument.schema_part() for argument in settings.arguments},
            "required": [argument.name for argument in settings.arguments if argument.required],
            "additionalProperties": False,
        }
        identity = Identity.VERIFIED if settings.verified_only else self.identity
        return [
            Tool(
                name=name,
                description=description or self.description,
                parameters=parameters,
                risk=self.risk,
                identity=identity,
            )
        ]

    async def run(self, arguments: dict[str, Any], context: Context) -> ActionResult:
        """Ask, and map the answer. An order that is not there is a result, not a failure."""
        settings: Settings = context.settings
        answered = await context.outside.send(_call(arguments, context))
        name = context.tool.name
        if answered.status in {404, 410}:
            data = {"found": False} | ({"reply": settings.not_found_message} if settings.not_found_message else {})
            return ActionResult(name=name, ok=True, data=data)
        found = _mapped(_json(answered), settings.result)
        if settings.reply:
            found["reply"] = _PLACE.sub(lambda place: _shown(found.get(place[1])), settings.reply)
        return ActionResult(name=name, ok=True, data={"found": True} | found)

    async def rehearse(self, arguments: dict[str, Any], context: Context) -> ActionResult:
        """What would be asked, without the secrets."""
        call = _call(arguments, context)
        data = {"method": call.method, "url": call.url, "body": call.body}
        return ActionResult(name=context.tool.name, ok=True, data=data)


def _call(arguments: dict[str, Any], context: Context) -> Call:
    settings: Settings = context.settings
    values = {name: str(value) for name, value in arguments.items()} | _of_customer(context)
    headers = dict(settings.headers) | {IDEMPOTENCY: str(context.call_id)}
    secret = settings.auth_secret.get_secret_value() if settings.auth_secret else ""
    if settings.auth == "bearer":
        headers["Authorization"] = f"Bearer {secret}"
    elif settings.auth == "basic":
        headers["Authorization"] = "Basic " + base64.b64encode(f"{settings.auth_name}:{secret}".encode()).decode()
    elif settings.auth == "header":
        headers[settings.auth_name] = secret
    return Call(
        method=settings.method,
        url=_PLACE.sub(lambda place: _in_url(values.get(place[1], "")), settings.url),
        headers=headers,
        body=_filled(settings.body, values) if settings.method == "POST" else None,
        secret=context.secret,
        seconds=min(settings.timeout_seconds, context.seconds),
    )


def _of_customer(context: Context) -> dict[str, str]:
    """What binds a call to who writes; never the model's or the customer's word."""
    customer = context.customer
    known = {f"customer.{name}": str(value) for name, value in customer.attributes.items()}
    return known | {
        "customer.id": str(customer.id or ""),
        "customer.external_id": customer.external_id,
        "customer.name": customer.name or "",
    }


def _in_url(value: str) -> str:
    """A value that stays one segment of a path or one value of a query."""
    if value in {".", ".."}:
        raise ActionFailed("invalid_arguments", "This is no identifier.")
    return quote(value, safe="")


def _filled(template: Any, values: dict[str, str]) -> Any:
    if isinstance(template, dict):
        return {key: _filled(part, values) for key, part in template.items()}
    if isinstance(template, list):
        return [_filled(part, values) for part in template]
    return _PLACE.sub(lambda place: values.get(place[1], ""), template) if isinstance(template, str) else template


def _json(answered: Answered) -> Any:
    if answered.status in {401, 403}:
        raise ActionFailed("unauthorized", f"The system refused the log-in ({answered.status}).")
    if answered.status == 429:
        raise ActionFailed("rate_limited", "The system is asked too often just now.")
    if answered.status >= 500:
        raise ActionFailed("server_error", f"The system failed ({answered.status}).", is_certain=False)
    if not 200 <= answered.status < 300:
        raise ActionFailed("rejected", f"The system did not take the request ({answered.status}).")
    try:
        return json.loads(answered.body)
    except (ValueError, RecursionError) as error:
        raise ActionFailed("malformed", "The system's answer is not JSON.", is_certain=False) from error


def _mapped(answer: Any, mapping: dict[str, str]) -> dict[str, Any]:
    if mapping:
        return {name: _at(answer, _STEP.findall(path)) for name, path in mapping.items()}
    return dict(answer) if isinstance(answer, dict) else {"items": answer}


def _at(value: Any, steps: list[tuple[str, str]]) -> Any:
    """The value at a path: names, `[2]` for one item, `[]` for each."""
    for number, (name, index) in enumerate(steps):
        if name:
            value = value.get(name) if isinstance(value, dict) else None
        elif not isinstance(value, list):
            return None
        elif index:
            value = value[int(index)] if int(index) < len(value) else None
        else:
            return [_at(item, steps[number + 1 :]) for item in value]
    return value


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_shown(item) for item in value)
    return "" if value is None else str(value)


action = OrderLookup()
