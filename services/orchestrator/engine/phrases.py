"""What the bot says in its own name, where the brand's persona sets no words of its own, in the customer's language."""

import re
from dataclasses import dataclass

from packages.core.domain.tenants import BrandProfile
from packages.rag.lexical import base_language, detect_language, fold

_HAN = re.compile(r"[\u3400-\u9fff]")
_KANA = re.compile(r"[\u3040-\u30ff]")
_UNSPACED_LANGUAGE = "zh"


@dataclass(frozen=True, slots=True)
class Phrases:
    """`greeting` and `about_bot` take the persona's name.

    `quoted` leads in to documents in another language than the customer's; `formal` and `warm` open a first answer.
    """

    unknown: str
    handover: str
    greeting: str
    welcome: str
    goodbye: str
    about_bot: str
    quoted: str
    formal: str
    warm: str


_PHRASES = {
    "en": Phrases(
        unknown="I'm sorry, I don't know the answer to that. Would you like to talk to a person?",
        handover="Of course. I'm passing you on to a person; please stay here, they will reply in this chat.",
        greeting="Hello! I'm {name}. How can I help you?",
        welcome="You're welcome! Is there anything else I can help you with?",
        goodbye="Goodbye! Write again whenever you need something.",
        about_bot="I'm {name}, an automated assistant. I can also pass you on to a person.",
        quoted="Our documentation says:",
        formal="Thank you for your message.",
        warm="Happy to help!",
    ),
    "es": Phrases(
        unknown="Lo siento, no sé la respuesta. ¿Le gustaría hablar con una persona?",
        handover="Por supuesto. Le paso con una persona; le responderá en este mismo chat.",
        greeting="¡Hola! Soy {name}. ¿En qué puedo ayudarle?",
        welcome="¡De nada! ¿Puedo ayudarle en algo más?",
        goodbye="¡Hasta pronto! Escríbanos cuando lo necesite.",
        about_bot="Soy {name}, un asistente automático. También puedo pasarle con una persona.",
        quoted="Nuestra documentación dice:",
        formal="Gracias por su mensaje.",
        warm="¡Con mucho gusto!",
    ),
    "fr": Phrases(
        unknown="Je suis désolé, je ne connais pas la réponse. Souhaitez-vous parler à une personne ?",
        handover="Bien sûr. Je vous passe une personne ; elle vous répondra dans cette conversation.",
        greeting="Bonjour ! Je suis {name}. Comment puis-je vous aider ?",
        welcome="Je vous en prie ! Puis-je vous aider pour autre chose ?",
        goodbye="Au revoir ! Écrivez-nous quand vous voulez.",
        about_bot="Je suis {name}, un assistant automatique. Je peux aussi vous passer une personne.",
        quoted="Notre documentation indique :",
        formal="Merci pour votre message.",
        warm="Avec plaisir !",
    ),
    "de": Phrases(
        unknown="Das weiß ich leider nicht. Möchten Sie mit einem Menschen sprechen?",
        handover="Gern. Ich gebe Sie an einen Menschen weiter; die Antwort kommt hier im Chat.",
        greeting="Hallo! Ich bin {name}. Wie kann ich Ihnen helfen?",
        welcome="Gern geschehen! Kann ich sonst noch etwas für Sie tun?",
        goodbye="Auf Wiedersehen! Schreiben Sie uns jederzeit wieder.",
        about_bot="Ich bin {name}, ein automatischer Assistent. Auf Wunsch gebe ich Sie an einen Menschen weiter.",
        quoted="In unseren Unterlagen steht:",
        formal="Vielen Dank für Ihre Nachricht.",
        warm="Sehr gern!",
    ),
    "pt": Phrases(
        unknown="Lamento, não sei a resposta. Gostaria de falar com uma pessoa?",
        handover="Claro. Vou passar a conversa a uma pessoa; a resposta chega aqui no chat.",
        greeting="Olá! Sou {name}. Como posso ajudar?",
        welcome="De nada! Posso ajudar em mais alguma coisa?",
        goodbye="Até logo! Escreva sempre que precisar.",
        about_bot="Sou {name}, um assistente automático. Respondo a perguntas e posso passar a conversa a uma pessoa.",
        quoted="A nossa documentação diz:",
        formal="Obrigado pela sua mensagem.",
        warm="Com todo o gosto!",
    ),
    "it": Phrases(
        unknown="Mi dispiace, non conosco la risposta. Vuole parlare con una persona?",
        handover="Certo. La passo a una persona; le risponderà in questa chat.",
        greeting="Buongiorno! Sono {name}. Come posso aiutarla?",
        welcome="Prego! Posso aiutarla in altro?",
        goodbye="Arrivederci! Ci scriva quando vuole.",
        about_bot="Sono {name}, un assistente automatico. Rispondo alle domande e posso passarla a una persona.",
        quoted="La nostra documentazione dice:",
        formal="Grazie per il suo messaggio.",
        warm="Con piacere!",
    ),
    "nl": Phrases(
        unknown="Het spijt me, dat weet ik niet. Wilt u met een medewerker praten?",
        handover="Natuurlijk. Ik geef u door aan een medewerker; het antwoord komt hier in de chat.",
        greeting="Hallo! Ik ben {name}. Hoe kan ik u helpen?",
        welcome="Graag gedaan! Kan ik nog iets voor u doen?",
        goodbye="Tot ziens! Schrijf ons gerust opnieuw.",
        about_bot="Ik ben {name}, een automatische assistent. Als u wilt, geef ik u door aan een medewerker.",
        quoted="In onze documentatie staat:",
        formal="Dank u voor uw bericht.",
        warm="Graag!",
    ),
    "zh": Phrases(
        unknown="抱歉，我不知道这个问题的答案。您想和人工客服交谈吗？",
        handover="好的，我为您转接人工客服，请在此稍候。",
        greeting="您好！我是{name}。请问有什么可以帮您？",
        welcome="不客气！还有什么可以帮您的吗？",
        goodbye="再见！有需要随时联系我们。",
        about_bot="我是{name}，一个自动助手。我可以回答问题，也可以为您转接人工客服。",
        quoted="我们的文档中写道：",
        formal="感谢您的留言。",
        warm="很高兴为您解答！",
    ),
}


_BRIEF = re.compile(r"brief|concise|short|terse|to the point|breve|kurz|knapp|court|concis|kort")
_FORMAL = re.compile(r"formal|polite|professional|courteous|respectful|förmlich|höflich|poli|cort[eé]s")
_WARM = re.compile(r"warm|cheerful|enthusiastic|playful|friendly|cordial|cálid|herzlich|freundlich|chaleureu|amable")

_REPLIES = {"greeting": "greeting", "thanks": "welcome", "goodbye": "goodbye", "about_bot": "about_bot"}


def phrases(language: str) -> Phrases:
    """The phrases in this language; in English where there are none."""
    return _PHRASES.get(base_language(language), _PHRASES["en"])


def language_of(question: str, brand: BrandProfile, earlier: str = "") -> str:
    """The customer's language (two letters): of the message, of what they wrote earlier, or of the brand's locale."""
    for text in (question, earlier):
        if _KANA.search(text):
            return "ja"
        if _HAN.search(text):
            return _UNSPACED_LANGUAGE
        if found := detect_language(fold(text)):
            return found
    return base_language(brand.locale)


def unknown(brand: BrandProfile, language: str) -> str:
    """The honest "I don't know", with the offer of a person."""
    return _own_words(brand.fallback_message, brand, language) or phrases(language).unknown


def handover(brand: BrandProfile, language: str) -> str:
    """What is said when a person takes over."""
    return _own_words(brand.handover_message, brand, language) or phrases(language).handover


def small_talk(kind: str, brand: BrandProfile, language: str) -> str:
    """The answer to a greeting, thanks, a goodbye, or "are you a bot?" (`about_bot`)."""
    name = brand.display_name or brand.name
    own = _own_words(brand.greeting, brand, language) if kind == "greeting" else ""
    return own or str(getattr(phrases(language), _REPLIES[kind])).format(name=name)


def framed(text: str, brand: BrandProfile, language: str, *, first: bool) -> str:
    """Words of the documents in the persona's frame: a lead-in, the words themselves, and the sign-off.

    Args:
        text: what answers, in the documents' own words.
        brand: the persona; its tone chooses the opening, a brief one has none.
        language: the customer's.
        first: whether this is the first answer of the conversation.
    """
    written_in = language_of(text, brand)
    if written_in != language:
        return signed(f"{phrases(language).quoted}\n\n{text}", brand, language)
    opening = _opening(brand.tone.casefold(), phrases(language)) if first else ""
    return signed(f"{opening}\n\n{text}" if opening else text, brand, language)


def signed(text: str, brand: BrandProfile, language: str) -> str:
    """The text with the persona's sign-off below it, if it has one that fits the language."""
    sign_off = _own_words(brand.sign_off, brand, language)
    return f"{text}\n\n{sign_off}" if sign_off else text


def _opening(tone: str, own: Phrases) -> str:
    if _BRIEF.search(tone):
        return ""
    if _FORMAL.search(tone) and "informal" not in tone:
        return own.formal
    return own.warm if _WARM.search(tone) else ""


def _own_words(words: str, brand: BrandProfile, language: str) -> str:
    """The persona's own words, unless we know better ones in the customer's language."""
    written_in = language_of(words, brand) if words.strip() else ""
    return words.strip() if written_in in {language, ""} or language not in _PHRASES else ""
