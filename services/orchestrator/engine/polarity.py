"""What a clause affirms or denies, and how firmly: negation, opposites, obligation, words that leave no exception.

Closed word lists in the languages of `stopwords`; a language without a list is judged by its words and numbers alone.
"""

import re
from dataclasses import dataclass

from packages.rag.lexical import fold


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_NEGATORS = _set("""
not no never cannot without neither nor none nobody nothing nowhere unless except hardly unable
nunca sin jamás ningún ninguna ninguno tampoco nadie nada salvo excepto
jamais sans aucun aucune ni rien personne sauf pas
nicht kein keine keinen keinem keiner keines nie niemals ohne weder außer
non nessun nessuna nessuno mai senza né niente tranne
não nunca sem nenhum nenhuma nem ninguém
niet geen nooit zonder noch niemand niets behalve
не нет без никогда ни нельзя inte ej aldrig utan ingen inga değil yok asla tidak bukan tanpa jangan
""")
_UNSPACED_NEGATOR = re.compile(r"不|没|沒|無|无|未|勿|禁止|ません|ない|なし")
_OPPOSITES = [
    ("allow allows allowed permit permits permitted welcome accepted accept accepts", "forbid forbids forbidden "
     "prohibit prohibits prohibited banned ban disallowed refuse refuses refused reject rejects rejected"),
    ("open opens opened", "closed closes shut"),
    ("include includes included including", "exclude excludes excluded excluding"),
    ("before prior earlier", "after later following"),
    ("more greater higher above over", "less fewer lower below under"),
    ("minimum least", "maximum most"),
    ("increase increases increased raise raised", "decrease decreases decreased reduce reduces reduced"),
    ("enable enables enabled activate activates activated", "disable disables disabled deactivate deactivates "
     "deactivated"),
    ("available", "unavailable"), ("possible", "impossible"), ("able", "unable"), ("with", "without"),
    ("free complimentary", "charged charge charges paid surcharge"),
    ("first earliest", "last latest"), ("always", "never"), ("start starts begin begins", "end ends finish finishes"),
    ("add adds added", "remove removes removed"), ("lock locks locked", "unlock unlocks unlocked"),
    ("checkin arrival arrive", "checkout departure depart"), ("inside indoor indoors", "outside outdoor outdoors"),
    ("permanent permanently", "temporary temporarily"), ("required mandatory", "optional"),
    ("morning", "evening afternoon"), ("weekday weekdays", "weekend weekends"),
    ("permitido permitida permitidos permitidas incluido incluida abierto abierta",
     "prohibido prohibida prohibidos prohibidas excluido excluida cerrado cerrada"),
    ("antes", "después depois"), ("autorisé autorisée autorisés autorisées inclus ouvert ouverte",
     "interdit interdite interdits interdites exclu fermé fermée"), ("avant", "après"),
    ("erlaubt gestattet inklusive geöffnet offen", "verboten untersagt exklusive geschlossen"), ("vor", "nach"),
    ("permesso consentito incluso aperto", "vietato proibito escluso chiuso"), ("prima", "dopo"),
    ("incluído aberto", "proibido excluído fechado"),
    ("toegestaan inbegrepen", "verboden uitgesloten gesloten"),
]  # fmt: skip
_SIDES = [(_set(one), _set(other)) for one, other in _OPPOSITES]

_OBLIGED = _set("""
must required require requires mandatory compulsory obliged obligatory necessary need needs needed
debe deben debes obligatorio obligatoria necesario necesita tiene requiere doit devez doivent obligatoire faut
nécessaire muss müssen musst pflicht erforderlich notwendig deve devono deves obbligatorio necessario obrigatório
precisa moet moeten verplicht nodig
""")
_OPTIONAL = _set("""
can may might could optional optionally should recommend recommends recommended encourage encouraged suggest suggested
advise advised able allowed possible
puede pueden puedes podría opcional recomienda recomendamos peut pouvez peuvent facultatif recommandé kann können kannst
darf dürfen optional empfohlen empfehlen sollte sollten può possono facoltativo consigliato pode podem recomendado kan
kunnen mag mogen optioneel aanbevolen
""")
_HAVE_TO = re.compile(r"\b(?:has|have|had) to\b")

_ABSOLUTES = [
    _set(group)
    for group in (
        "always siempre toujours immer sempre altijd",
        "all every each any everyone everything todos todas todo cada tous toutes tout chaque alle jeder jede jedes "
        "tutti tutte ogni todo iedereen elk elke",
        "only exclusively solely just solo sólo solamente únicamente seulement uniquement nur ausschließlich soltanto "
        "somente apenas alleen uitsluitend",
        "guaranteed guarantee guarantees guarantied garantizado garantiza garanti garantie garantiert garantito "
        "garantido gegarandeerd",
        "immediately instantly immediate instant inmediatamente immédiatement sofort subito imediatamente onmiddellijk "
        "meteen direct",
        "definitely certainly surely absolutely definitivamente certainement bestimmt certamente certamente zeker",
        "free complimentary gratis gratuito gratuita gratuit gratuite kostenlos kostenfrei umsonst gratuitamente",
        "unlimited ilimitado illimité unbegrenzt illimitato onbeperkt",
        "completely entirely fully totally",
    )
]
_HEDGES = _set("""
might sometimes usually typically normally generally often occasionally probably approximately roughly
normalmente generalmente aproximadamente parfois généralement habituellement environ manchmal normalerweise
meistens ungefähr etwa solitamente circa geralmente soms meestal ongeveer
may could can likely about around most many some several
""")
_STRONG_HEDGES = _set("""
might sometimes usually typically occasionally probably
parfois généralement habituellement manchmal normalerweise meistens solitamente geralmente soms meestal
""")

_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")
_BORDER = re.compile(
    r"[,;:()—–。，；：！？!?.\n|]+|\s(?=(?:but|however|although|though|while|whereas|unless|except|if|when|because|"
    r"otherwise|pero|aunque|si|salvo|mais|sauf|aber|wenn|falls|ma|se|mas|maar|als|tenzij)\s)"
)
_FRENCH_PAIR = re.compile(r"\bn(?:e\s|')")
_FRENCH_SECOND = _set("pas jamais aucun aucune ni rien personne")
_PAIRED = frozenset().union(*(one | other for one, other in _SIDES))
_PREFIXES = ("un", "in", "im", "ir", "il", "dis", "non")
_LONG_ENOUGH = 4


@dataclass(frozen=True, slots=True)
class Clause:
    """A part of a sentence with its words; `negations` counts those that turn it over."""

    text: str
    words: frozenset[str]
    negations: int


def clauses(sentence: str) -> list[Clause]:
    """The clauses of a sentence in their order; what has no word is left out."""
    found = []
    for part in _BORDER.split(fold(sentence)):
        words = _WORD.findall(part)
        if words or _UNSPACED_NEGATOR.search(part):
            found.append(Clause(part, frozenset(words), _negations(part, words)))
    return found


def same_polarity(claim: Clause, evidence: Clause) -> bool:
    """Whether both affirm or both deny, a word and its opposite taken into account."""
    flips = sum(_opposed(claim.words, evidence.words, one, other) for one, other in _SIDES)
    flips += sum(_is_turned(word, evidence.words, claim.words) for word in claim.words - evidence.words)
    flips += sum(_is_turned(word, claim.words, evidence.words) for word in evidence.words - claim.words)
    return (claim.negations + flips) % 2 == evidence.negations % 2


def same_firmness(claim: str, evidence: str) -> bool:
    """Whether the claim obliges, permits and generalises no further than its evidence does."""
    said, known = frozenset(_WORD.findall(fold(claim))), frozenset(_WORD.findall(fold(evidence)))
    added = (group & said and not group & known for group in _ABSOLUTES)
    return (
        _same_duty(_duty(claim, said), _duty(evidence, known))
        and not any(added)
        and (not known & _STRONG_HEDGES or bool(said & _HEDGES))
    )


def without_hedges(text: str) -> str:
    """The text without the words that only make it less certain; `same_firmness` compares those."""
    return _WORD.sub(lambda match: " " if fold(match.group()) in _HEDGES else match.group(), text)


def _negations(part: str, words: list[str]) -> int:
    count = sum(word in _NEGATORS or word.endswith("n't") for word in words)
    if _FRENCH_PAIR.search(part) and not _FRENCH_SECOND & set(words):
        count += 1
    return count + len(_UNSPACED_NEGATOR.findall(part))


def _opposed(claim: frozenset[str], evidence: frozenset[str], one: frozenset[str], other: frozenset[str]) -> bool:
    """Whether one side has only a word of the pair's first half and the other only one of its second."""
    return (bool(claim & one), bool(claim & other), bool(evidence & one), bool(evidence & other)) in {
        (True, False, False, True),
        (False, True, True, False),
    }


def _is_turned(word: str, others: frozenset[str], own: frozenset[str]) -> bool:
    """Whether `word` is one of the others with a prefix that denies it ("unsafe", "nonrefundable")."""
    if word in _PAIRED:
        return False
    stripped = (word.removeprefix(prefix) for prefix in _PREFIXES if word.startswith(prefix))
    return any(len(rest) >= _LONG_ENOUGH and rest in others and rest not in own for rest in stripped)


def _duty(text: str, words: frozenset[str]) -> tuple[bool, bool]:
    return bool(words & _OBLIGED or _HAVE_TO.search(fold(text))), bool(words & _OPTIONAL)


def _same_duty(claim: tuple[bool, bool], evidence: tuple[bool, bool]) -> bool:
    """A duty must not be made of a choice, nor a choice of a duty; where neither is named, both readings are open."""
    return not (claim == (True, False) and evidence == (False, True)) and not (
        claim == (False, True) and evidence == (True, False)
    )
