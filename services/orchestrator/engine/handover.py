"""What the customer is told when a person is asked for, when nobody came, and when a message cannot be read."""

import re
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import msgspec

from packages.core.domain.tenants import BrandProfile
from packages.rag.lexical import base_language, detect_language
from services.orchestrator.engine.turn import Answer
from services.orchestrator.turns_sql import Reply

_OFFER = {
    "en": "I am passing this on to a colleague, who will reply here as soon as possible.",
    "es": "Se lo paso a un compañero, que le responderá aquí lo antes posible.",
    "fr": "Je transmets votre demande à un collègue, qui vous répondra ici dès que possible.",
    "de": "Ich gebe das an eine Kollegin oder einen Kollegen weiter; die Antwort kommt so bald wie möglich hier.",
    "pt": "Vou passar isto a um colega, que responderá aqui assim que possível.",
    "zh": "我会把您的问题转给同事，他们会尽快在这里回复您。",
}
_NOBODY_CAME = {
    "en": "I am sorry, nobody is free just now. Your messages are kept, and I can go on helping you meanwhile.",
    "es": "Lo siento, ahora no hay nadie disponible. Guardamos sus mensajes y mientras tanto puedo seguir ayudando.",
    "fr": "Désolé, personne n'est disponible. Vos messages sont conservés et je peux continuer à vous aider.",
    "de": "Es ist leider gerade niemand frei. Ihre Nachrichten bleiben erhalten, und ich helfe inzwischen gern weiter.",
    "pt": "Lamento, não há ninguém disponível agora. As suas mensagens ficam guardadas e posso continuar a ajudar.",
    "zh": "抱歉，现在没有同事有空。您的消息已保存，在此期间我可以继续为您提供帮助。",
}
_CANNOT_READ = {
    "en": "Thank you. I can only read text so far: could you describe it in words, or shall I ask a colleague to look?",
    "es": "Gracias. Por ahora solo leo texto: ¿puede describirlo con palabras o prefiere que lo vea un compañero?",
    "fr": "Merci. Je ne lis que du texte pour le moment : pouvez-vous le décrire, ou dois-je demander à un collègue ?",
    "de": "Danke. Ich kann bisher nur Text lesen: Können Sie es beschreiben, oder soll sich ein Mensch das ansehen?",
    "pt": "Obrigado. Por enquanto só leio texto: pode descrevê-lo, ou prefere que um colega veja?",
    "zh": "谢谢。我目前只能阅读文字：您能用文字描述一下吗，还是需要我请同事查看？",
}
_YES = re.compile(
    r"^\W*(yes|yeah|yep|yup|sure|ok|okay|please|yes,? please|please do|do it|go ahead|"
    r"s[ií]|claro|por favor|s[ií],? por favor|vale|oui|d'accord|s'il vous pla[iî]t|oui,? s'il vous pla[iî]t|"
    r"ja|ja,? bitte|bitte|gern|gerne|sim|sim,? por favor|好|好的|是|是的|可以|请|要)\W*$",
    re.IGNORECASE,
)


def accepts_offer(text: str) -> bool:
    """Whether a short reply to "shall I ask a person?" says yes."""
    return _YES.match(text) is not None


def in_language(texts: dict[str, str], brand: BrandProfile, question: str) -> str:
    """The text in the customer's language, else in the brand's, else in English."""
    for code in (detect_language(question), brand.locale):
        if code and base_language(code) in texts:
            return texts[base_language(code)]
    return texts["en"]


def offer(brand: BrandProfile, question: str, *, reason: str, trace: dict[str, Any] | None = None) -> Reply:
    """Offer the conversation to people, and tell the customer."""
    words = brand.handover_message or in_language(_OFFER, brand, question)
    return Reply(text=words, trace=(trace or {}) | {"handover": reason}, hand_over=reason)


def cannot_read(brand: BrandProfile, kinds: Sequence[str]) -> Reply:
    """An honest word about pictures, recordings and the like, with the offer of a person."""
    trace = {"abstained": True, "offer_person": True, "unread": list(kinds)}
    return Reply(text=in_language(_CANNOT_READ, brand, ""), trace=trace)


def nobody_came(locale: str) -> str:
    """The end of an offer that nobody took."""
    return _NOBODY_CAME.get(base_language(locale), _NOBODY_CAME["en"])


def reply(answer: Answer) -> Reply:
    """The engine's answer as a reply."""
    trace = answer.trace | {
        "abstained": answer.abstained,
        "offer_person": answer.offer_person,
        "confidence": answer.confidence,
        "trace_id": answer.trace_id,
    }
    citations = [msgspec.to_builtins(asdict(citation)) for citation in answer.citations]
    return Reply(text=answer.text, citations=citations, context=answer.context, trace=trace)
