"""Signs that a text tries to become an instruction: prompt injection, jailbreaks, requests for the system prompt.

A finding never blocks an answer. It only keeps the text away from the language model: the extractive answerer, which
obeys nobody, takes the turn.
"""

import re
import unicodedata
from functools import lru_cache

from packages.rag.sentences import sentences
from services.orchestrator.engine.policies import Finding, Verdict

CHECK = "injection"

_INSTRUCTIONS = (
    r"(?:instructions?|prompts?|directives?|commands?|orders?|guidelines?|rules|programming|training|constraints?)"
)
_EARLIER = (
    r"(?:previous\w*|prior|above|earlier|preceding|initial|original|former|past|foregoing|existing|current|system|your|"
    r"all|those|these)"
)
_PATTERNS = {
    "override": [
        r"\b(?:ignor\w*|disregard\w*|forget|bypass|overrid\w+|discard|neglect|do not follow|don't follow|"
        r"stop following|"
        rf"regardless of)\b.{{0,40}}\b{_EARLIER}\b.{{0,30}}\b(?:{_INSTRUCTIONS}|tasks?)\b",
        r"\b(?:ignor\w*|disregard|forget)\b (?:all|any|every\w*|everything|what)\b.{0,40}"
        rf"\b(?:told|said|{_INSTRUCTIONS}|before|above|instructed)\b",
        r"\bignore the \w+ and (?:state|say|print|output|write|reply|answer)\b",
        rf"\bnew (?:system )?{_INSTRUCTIONS}\s*:",
        r"\byou must (?:listen to|obey|answer all|do as|follow) (?:my|me|all|what|every)\b",
        r"olvid\w+ (?:todas? )?(?:tus|las|sus) instrucciones|ignor\w+ (?:todas? )?(?:tus|las|sus) instrucciones",
        r"(?:ignor|oubli)\w+ .{0,40}instructions|(?:ignorier|vergiss|vergessen)\w*.{0,40}(?:anweisungen|instruktionen)",
        r"(?:ignor|dimentic)\w+ .{0,40}istruzioni|(?:ignor|esque[cç])\w+ .{0,40}instru[cç][oõ]es",
        r"(?:игнорируй|забудь)\w*.{0,40}(?:инструкци|указани)|(?:talimat|yönerge)\w*.{0,30}(?:unut|yok say|göz ardı)",
        r"(?:忽略|无视|忘记|忘掉|忽視|無視).{0,15}(?:指令|指示|说明|提示|规则|命令)|(?:指示|命令|"
        r"指令).{0,8}(?:無視|忘れ)",
        r"(?:이전|앞선|위의).{0,10}(?:지시|명령|지침).{0,10}(?:무시|잊)|(?:bỏ qua|quên).{0,30}(?:hướng dẫn|chỉ dẫn|"
        r"lệnh)",
        r"(?:abaikan|lupakan).{0,30}(?:instruksi|perintah|arahan)|(?:kalimutan|balewalain).{0,30}(?:tagubilin|utos)",
        r"(?:تجاهل|انس).{0,40}(?:التعليمات|تعليمات|الأوامر)|(?:अनदेखा|भूल|नजरअंदाज).{0,40}|निर्देश.{0,30}(?:भूल|"
        r"अनदेखा|ध्यान न)",
    ],
    "role_play": [
        r"\byou are now (?:an? )?(?:\w+ ){0,3}(?:dan|unrestricted|unfiltered|jailbroken|evil|developer mode|root|"
        r"admin)\b",
        r"\b(?:act|behave|pretend|respond|roleplay|role-play)\b.{0,30}\b(?:unrestricted|unfiltered|no (?:restrictions|"
        r"rules|limits|filters)|without (?:any )?(?:restrictions|rules|filters|limits)|as (?:dan|root|an evil))\b",
        r"\b(?:jailbroken|developer mode|god mode|dan mode|do anything now)\b|\bdan\b.{0,40}\bdo anything",
        r"\bi(?:'m| am) (?:now )?(?:god|your (?:developer|creator|boss|administrator)|the president|entering)\b",
        r"\bi(?:'m| am) an? (?:ai )?developer running\b|\bas an ai (?:developed|made|created|built) by\b",
        r"\b(?:system|override|maintenance|enforcement|security|debug|god|developer|root|admin) (?:override )?mode\b",
        r"\bimmerse yourself into the role\b|\brole of another ai\b",
    ],
    "disclosure": [
        r"\b(?:reveal|show|print|repeat|output|display|tell|give|leak|share|write|recite|summari[sz]e|translate|encode|"
        r"list|what (?:is|are|was|were))\b.{0,50}\b(?:system (?:prompt|message|instructions?)|(?:your|initial|hidden|"
        r"secret|original) (?:prompt|instructions?|rules|guidelines|directives|secret key)|secret key|"
        r"(?:text|words|everything|instructions) above)\b",
        r"\b(?:what(?:'s| is)|tell me|give me|share|confirm|provide|reveal|about|for|encode) (?:me |us )?(?:the|your) "
        r"(?:secret )?password\b(?!\s*(?:polic|require|reset|rule|manager|field|for|to|of|page|option|length|link|is))",
        r"(?:contraseña|mot de passe|passwort|senha|parola d'ordine|пароль|şifre|密码|パスワード|비밀번호|"
        r"mật khẩu).{0,40}base64",
    ],
    "obfuscation": [
        r"\b(?:in|using|to|with|as) (?:base64|pig latin|rot13|morse code|reverse order|leetspeak)\b|\binterlace them\b",
        r"(?:\b[qt]\s?: .{3,400}?\b[aj]\s?: .{3,600}?){3}",
        r"<!--.{0,300}\b(?:ignore|override|instruct\w*|you (?:must|should)|print|state)\b",
        r"(\b\w+\b)(?:\s+\1\b){15}",
    ],
    "template": [
        r"<\|(?:im_start|im_end|system|user|assistant|endoftext)\|>|\[/?inst\]|<</?sys>>|^\s*#{1,3}\s*system\b"
        r"|^\s*(?:system|assistant)\s*:\s|<system[^>]{0,20}>",
    ],
}
_COMPILED = {
    kind: re.compile("|".join(f"(?:{pattern})" for pattern in patterns), re.IGNORECASE | re.MULTILINE | re.DOTALL)
    for kind, patterns in _PATTERNS.items()
}
_INVISIBLE = re.compile(r"[\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\U000e0000-\U000e007f]")
_LONGEST = 4000


@lru_cache(maxsize=256)  # a turn asks again of the same few texts
def check(text: str) -> Finding:
    """FIX, with the kinds of signs found, where the text looks like an attempt; its text never changes."""
    plain = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text[:_LONGEST]))
    kinds = tuple(kind for kind, pattern in _COMPILED.items() if pattern.search(plain))
    return Finding(CHECK, Verdict.FIX if kinds else Verdict.PASS, text, kinds)


def harmless_part(text: str) -> str:
    """The sentences without such signs, to search by; the whole text if none is left."""
    if check(text).verdict is Verdict.PASS:
        return text
    left = [sentence for sentence in sentences(text) if check(sentence).verdict is Verdict.PASS]
    return " ".join(left) or text


def check_document(text: str) -> Finding:
    """The same for a passage of a document, where talk of passwords and secrets is no sign of anything."""
    finding = check(text)
    kinds = tuple(kind for kind in finding.details if kind not in {"disclosure", "obfuscation"})
    return Finding(CHECK, Verdict.FIX if kinds else Verdict.PASS, text, kinds)
