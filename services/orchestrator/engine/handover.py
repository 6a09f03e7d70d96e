"""From answers to replies: when a person is asked for, when nobody came, and when a message cannot be read."""

from collections.abc import Sequence
from dataclasses import asdict

from packages.core.domain.tenants import BrandProfile
from packages.rag.lexical import base_language
from services.orchestrator.engine import phrases
from services.orchestrator.engine.turn import Answer
from services.orchestrator.turns_sql import Reply

_NOBODY_CAME = {
    "en": "I am sorry, nobody is free just now. Your messages are kept, and I can go on helping you meanwhile.",
    "es": "Lo siento, ahora no hay nadie disponible. Guardamos sus mensajes y mientras tanto puedo seguir ayudando.",
    "fr": "Désolé, personne n'est disponible. Vos messages sont conservés et je peux continuer à vous aider.",
    "de": "Es ist leider gerade niemand frei. Ihre Nachrichten bleiben erhalten, und ich helfe inzwischen gern weiter.",
    "pt": "Lamento, não há ninguém disponível agora. As suas mensagens ficam guardadas e posso continuar a ajudar.",
    "zh": "抱歉，现在没有同事有空。您的消息已保存，在此期间我可以继续为您提供帮助。",
}
_CANNOT_READ = {
    "en": "Thank you. I can only read text so far: could you put it into words?",
    "es": "Gracias. Por ahora solo puedo leer texto: ¿puede decirlo con palabras?",
    "fr": "Merci. Je ne lis que du texte pour le moment : pouvez-vous le dire avec des mots ?",
    "de": "Danke. Ich kann bisher nur Text lesen: Können Sie es in Worte fassen?",
    "pt": "Obrigado. Por enquanto só leio texto: pode dizê-lo por palavras?",
    "zh": "谢谢。我目前只能阅读文字：您能用文字说明一下吗？",
}


def reply(answer: Answer) -> Reply:
    """The engine's answer as a reply; a wish for a person offers the conversation to people."""
    trace = answer.trace | {
        "abstained": answer.abstained,
        "offer_person": answer.offer_person,
        "confidence": answer.confidence,
        "trace_id": answer.trace_id,
    }
    return Reply(
        text=answer.text,
        citations=[asdict(citation) for citation in answer.citations],
        context=answer.context,
        trace=trace,
        hand_over="asked for" if answer.trace.get("wants_person") else None,
    )


def bot_failed(brand: BrandProfile, question: str) -> Reply:
    """The bot gives up: the customer is told that a person will answer, never that something broke."""
    language = phrases.language_of(question, brand)
    return Reply(text=phrases.handover(brand, language), trace={"failed": True}, hand_over="the bot failed")


def cannot_read(brand: BrandProfile, kinds: Sequence[str]) -> Reply:
    """An honest word about pictures, recordings and the like, with the offer of a person."""
    language = base_language(brand.locale)
    words = _CANNOT_READ.get(language, _CANNOT_READ["en"])
    trace = {"abstained": True, "offer_person": True, "unread": list(kinds)}
    return Reply(text=f"{words}\n{phrases.unknown(brand, language)}", trace=trace)


def nobody_came(locale: str) -> str:
    """The end of an offer that nobody took."""
    return _NOBODY_CAME.get(base_language(locale), _NOBODY_CAME["en"])
