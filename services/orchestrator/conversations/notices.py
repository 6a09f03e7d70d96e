"""What a customer is told when a person takes over and when the bot is back: they always know who writes."""

from packages.core.db.tables.brands import Brand
from packages.rag.lexical import base_language

_PERSON = {
    "en": "{name} has joined and answers you from here.",
    "es": "{name} se ha unido y le responde a partir de ahora.",
    "fr": "{name} a rejoint la conversation et vous répond désormais.",
    "de": "{name} ist jetzt da und antwortet Ihnen ab hier.",
    "pt": "{name} entrou na conversa e responde-lhe a partir daqui.",
    "zh": "{name} 已加入对话，接下来由其为您服务。",
}
_BOT = {
    "en": "Our assistant answers you again from here.",
    "es": "A partir de ahora le responde de nuevo nuestro asistente.",
    "fr": "Notre assistant vous répond à nouveau.",
    "de": "Ab hier antwortet Ihnen wieder unser Assistent.",
    "pt": "A partir daqui, o nosso assistente volta a responder-lhe.",
    "zh": "接下来由我们的智能助手继续为您服务。",
}


def person_joined(brand: Brand, name: str) -> str:
    """In the brand's language: a person answers now."""
    return _PERSON.get(base_language(brand.locale), _PERSON["en"]).format(name=name)


def bot_is_back(brand: Brand) -> str:
    """In the brand's language: the bot answers now."""
    return _BOT.get(base_language(brand.locale), _BOT["en"])


def wanted(brand: Brand) -> bool:
    """Whether the brand has its customers told; `settings.handover_notices: false` says no."""
    return brand.settings.get("handover_notices") is not False
