"""What needs no knowledge to be understood: small talk, and the wish for a person. Patterns, in eight languages."""

import re

from packages.rag.lexical import fold

_PERSON = {
    "en": r"\b(?:talk|speak|chat|connect\w*|transfer\w*|put me|pass me|escalate|reach|contact|get in touch|get me|"
    r"give me)\b"
    r"(?:\s+(?:me|us|this|it|through|over|in|on|up|to|with|for|an?|the|some|one of|your|any|actual|touch))*\s+"
    r"(?:(?:real|live|actual|human|customer|support|service|call cent(?:er|re)|sales)\s+)*"
    r"(?:person|human(?: being)?|agent|operator|representative|rep|advis[oe]r|service|support|care|somebody|"
    r"someone|staff|"
    r"manager|supervisor|colleague)\b"
    r"|\b(?:need|want|like|prefer|have|is there|do you have|can i get)\b(?:\s+(?:to|an?|the|any|some))*\s+"
    r"(?:(?:real|live|actual|human|support|service)\s+)*(?:(?:real|live|actual|human)\s+person|human(?: being|"
    r" help)?|agent|"
    r"operator|representative)\b|\bwant some person\b"
    r"|^\W*(?:please\W+)?(?:an?\s+)?(?:real person|human|human being|live agent|agent|operator|representative|customer "
    r"service|live chat|live support|human agent)(?:\W+please)?\W*$"
    r"|\bhuman (?:agent|operator|support)\b|\blive (?:agent|support)\b|\bstop (?:the |this )?bot\b",
    "es": r"\b(?:hablar|hable|comunicar\w*|comunique\w*|contactar|chatear|pas[ae]\w*|transf\w+|quiero|necesito|"
    r"ponga\w*|"
    r"pongan?me)\b.{0,30}\b(?:persona(?: real| humana)?|humano|agente|operador\w*|asesor\w*|representante|alguien|"
    r"ejecutivo)\b"
    r"|^\W*(?:un |una )?(?:agente|humano|persona real|asesor|operador\w*)(?:\W+por favor)?\W*$",
    "fr": r"\b(?:parler|discuter|joindre|contacter|passe\w*|transf[eé]r\w+|veux|voudrais|souhaite|besoin)\b.{0,30}"
    r"\b(?:(?:vraie )?personne|humain|conseiller\w*|conseill[eè]re|agent|op[eé]rateur|quelqu'un|repr[eé]sentant)\b"
    r"|^\W*(?:un |une )?(?:humain|conseiller|agent|vraie personne)(?:\W+s'il vous pla[iî]t)?\W*$",
    "de": r"\b(?:sprechen|reden|verbinden?|verbinde|weiterleiten|chatten|möchte|will|brauche|kontaktieren)\b.{0,40}"
    r"\b(?:mensch\w*|mitarbeiter\w*|berater\w*|echte[nrms]? person|person|jemande[mn]|kundendienst|kundenservice|"
    r"support)\b"
    r"|\bmit (?:einem |einer )?(?:echten? )?(?:mensch\w*|mitarbeiter\w*|person|berater\w*|jemande[mn]|kundendienst|"
    r"kundenservice)\b.{0,20}\b(?:sprechen|reden|chatten|verbinden|verbunden)\b"
    r"|^\W*(?:ein(?:en)? )?(?:mensch|mitarbeiter|berater)(?:\W+bitte)?\W*$",
    "pt": r"\b(?:falar|fale|conversar|contatar|contactar|passe|transf\w+|quero|preciso|gostaria)\b.{0,30}"
    r"\b(?:pessoa(?: real| de verdade)?|humano|atendente|agente|operador\w*|algu[eé]m|assistente humano|"
    r"representante)\b"
    r"|^\W*(?:um |uma )?(?:atendente|humano|pessoa real|agente)(?:\W+por favor)?\W*$",
    "it": r"\b(?:parlare|parlo|contattare|passa\w*|trasferi\w+|voglio|vorrei|bisogno)\b.{0,30}"
    r"\b(?:persona(?: reale| vera)?|umano|operatore|operatrice|agente|consulente|qualcuno)\b"
    r"|^\W*(?:un |una )?(?:operatore|umano|persona reale|agente)(?:\W+per favore)?\W*$",
    "nl": r"\b(?:spreken|praten|verbind\w*|doorverbind\w*|wil|graag|contact)\b.{0,30}"
    r"\b(?:(?:echte? )?persoon|mens|medewerker|iemand|klantenservice|collega)\b"
    r"|\bmet (?:een |een echte? )?(?:persoon|mens|medewerker|iemand)\b.{0,20}\b(?:spreken|praten)\b"
    r"|^\W*(?:een )?(?:medewerker|echt mens|mens)(?:\W+(?:alstublieft|aub))?\W*$",
    "zh": r"人工|真人|转接?客服|(?:找|联系|接|要|叫).{0,4}客服|(?:和|跟|与).{0,4}(?:人|客服|专员).{0,3}(?:说|谈|"
    r"聊|通话|交谈|沟通)",
}
_WANTS_PERSON = re.compile("|".join(f"(?:{pattern})" for pattern in _PERSON.values()))

_ABOUT_BOT = re.compile(
    r"\b(?:(?:are|r) (?:you|u)|am i|is this|is it|if you are|if you're|you're)(?: (?:an?|the|just|really|actually|"
    r"even|only|"
    r"real|live|actual|speaking|talking|chatting|to|with|some|kind of|sort of|or|ai|human))*,? "
    r"(?:bot|robot|chatbot|machine|computer|ai|artificial intelligence|human(?: being)?|(?:real|live) person|person)\b"
    r"|\b(?:eres|es usted) .{0,20}(?:robot|bot|humano|persona)\b"
    r"|\b(?:bist du|sind sie) .{0,20}(?:bot|roboter|mensch|maschine)\b|\b(?:es-tu|êtes-vous|tu es|vous êtes) .{0,20}"
    r"(?:robot|bot|humain)\b|\b(?:você é|és) .{0,20}(?:rob[oô]|bot|humano)\b|你是.{0,6}(?:机器人|真人|人工)"
)
_SMALL_TALK = {
    "greeting": {
        "en": r"hi|hiya|hello|hey|good (?:morning|afternoon|evening|day)|greetings",
        "es": r"hola|buen[oa]s(?: d[ií]as| tardes| noches)?",
        "fr": r"bonjour|bonsoir|salut|coucou",
        "de": r"hallo|guten (?:tag|morgen|abend)|moin|servus|gr[uü](?:ß|ss) gott",
        "pt": r"ol[aá]|oi|bom dia|boa (?:tarde|noite)",
        "it": r"ciao|buongiorno|buonasera|salve",
        "nl": r"goedemorgen|goedemiddag|goedenavond|hoi|goedendag",
        "zh": r"你好|您好|嗨|哈喽|早上好|晚上好",
    },
    "thanks": {
        "en": r"(?:(?:ok(?:ay)?|great|perfect|super)\W+)?(?:many )?(?:thanks?|thank you|thx|ty|cheers)",
        "es": r"(?:(?:genial|vale|perfecto)\W+)?(?:muchas )?gracias",
        "fr": r"(?:(?:parfait|super)\W+)?merci",
        "de": r"(?:(?:prima|super|ok)\W+)?(?:danke(?: schön| sehr)?|vielen dank)",
        "pt": r"(?:muito )?obrigad[oa]",
        "it": r"(?:grazie(?: mille)?)",
        "nl": r"dank (?:je|u)(?: wel)?|bedankt",
        "zh": r"谢谢您?|多谢|感谢",
    },
    "goodbye": {
        "en": r"bye|bye bye|goodbye|good night|see you|see ya",
        "es": r"adi[oó]s|hasta luego",
        "fr": r"au revoir",
        "de": r"tsch[uü]ss?|auf wiedersehen",
        "pt": r"tchau|at[eé] logo",
        "it": r"arrivederci",
        "nl": r"tot ziens|doei",
        "zh": r"再见|拜拜",
    },
}
_TAIL = (
    r"(?:[\s,]+(?:there|all|everyone|team|bot|again|a lot|so much|very much|you|beaucoup|for (?:your|the) help|"
    r"por todo))*"
)
_COMPILED_SMALL_TALK = [
    (kind, language, re.compile(rf"^\W*(?:{words}){_TAIL}[\W_]*$"))
    for kind, languages in _SMALL_TALK.items()
    for language, words in languages.items()
]
_LONGEST = 1000
_LONGEST_SMALL_TALK = 80


def wants_person(text: str) -> bool:
    """Whether the customer asks for a person; asking whether this is one is another matter."""
    folded = fold(text)[:_LONGEST]
    return _WANTS_PERSON.search(folded) is not None and _ABOUT_BOT.search(folded) is None


def small_talk(text: str) -> tuple[str, str | None] | None:
    """`greeting`, `thanks`, `goodbye` or `about_bot`, and the language it tells, if a short message is nothing else."""
    folded = fold(text)
    if len(folded) > _LONGEST_SMALL_TALK:
        return None
    for kind, language, pattern in _COMPILED_SMALL_TALK:
        if pattern.match(folded):
            return kind, language
    return ("about_bot", None) if _ABOUT_BOT.search(folded) else None
