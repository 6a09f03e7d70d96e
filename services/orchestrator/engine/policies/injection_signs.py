"""The signs by which `injection` knows an attempt, by kind, as regular expressions.

`LATIN` is tried on every text, `OTHER` only where a text has letters of another script. The families follow what the
literature names (ignoring earlier instructions, system mode, virtualisation, persuasion, few-shot transcripts, payload
splitting, token smuggling, prompt extraction), each in the languages that Parley's customers write.
"""

_INSTRUCTIONS = (
    r"(?:instructions?|prompts?|directives?|commands?|orders?|guidelines?|rules|programming|training|constraints?|"
    r"restrictions?|protocols?|limitations?)"
)
_EARLIER = (
    r"(?:previous\w*|prior|above|earlier|preceding|initial|original|former|past|foregoing|existing|current|system|"
    r"your|"
    r"all|those|these)"
)
_OWN_TEXT = (
    r"(?:system[ _-]?(?:prompts?|messages?|instructions?|config\w*|rules)|initiali[sz]ation (?:string|prompt|text)|"
    r"(?:your|hidden|secret|internal|starting|original|initial) (?:\w+ ){0,2}(?:prompts?|instructions|rules|"
    r"guidelines|"
    r"directives|configuration|programming|secret key)|instructions (?:that )?you (?:were|have been|got|received)|"
    r"(?:text|words?|instructions|message) you were given|secret key|"
    r"(?:text|words|everything|instructions|all) above|above (?:text|words|instructions|prompt))"
)
_TELL = (
    r"(?:reveal|show|print|repeat|output|display|tell|give|leak|share|write|recite|summari[sz]e|translate|encode|"
    r"decode|"
    r"list|see|read|view|dump|complete|continue|copy|disclose|paste|describe|explain|confirm|provide|"
    r"what(?:['’]s| is| are| was| were| did)|opposite of|"
    r"respond|include|containing|spell)"
)
_KEYWORD = (
    r"\b(?:passwords?|passwort\w*|contraseñas?|mots? de passe|senhas?|parola d'ordine|şifre\w*|parola\w*|mật khẩu|"
    r"kata sandi|wachtwoord\w*|hasł[oa]|lösenord\w*)"
)
_ENCODING = r"(?:base ?64|rot-?13|morse|pig latin|caesar (?:cipher|shift)|leet ?speak|hexadecimal string|binary string)"

LATIN = {
    "override": [
        r"\b(?:previous|earlier|above) (?:conversation|messages?|chat) (?:never|did ?n[o'’]t|does ?n[o'’]t)\b",
        r"\b(?:say|print|output|reply with|respond with|answer with)\b (?:only |just |exactly |the words? "
        r")*['\"“][^'\"”]{2,60}['\"”](?: and nothing| only|\s*[.!]?\s*$)",
        r"\b(?:ab jetzt|von nun an)\b.{0,40}(?:regeln|anweisung|bist du|du bist|antworte)|\bregeln gelten "
        r".{0,15}nicht mehr",
        r"\b(?:ignor\w*|disregard\w*|forget|bypass|overrid\w+|overlook\w*|discard|neglect|do not follow|don't follow|"
        rf"stop following|regardless of|set aside)\b.{{0,40}}\b{_EARLIER}\b.{{0,30}}\b(?:{_INSTRUCTIONS}|tasks?)\b",
        r"\b(?:ignor\w*|disregard|forget|overlook)\b (?:all|any|every\w*|everthing|what)\b.{0,40}"
        rf"\b(?:told|said|{_INSTRUCTIONS}|before|above|instructed|learn(?:ed|t))\b",
        r"\bignore the (?:above|\w+ and (?:state|say|print|output|write|reply|answer))\b",
        r"(?:^|[.!?\n]\s*)(?:no,? |please |ok,? )?(?:forget|ignore|scratch) (?:about )?(?:that|this|it all|the "
        r"above)\b"
        r"\s*[,.;:!]",
        rf"\bnew (?:system )?{_INSTRUCTIONS}\s*:",
        r"\byou must (?:listen to|obey|answer all|do as|follow) (?:my|me|all|what|every)\b",
        r"\bi know (?:that )?you(?:['’]re| are| were| said|['’]ve been)\b.{0,25}\b(?:not|never|can['’]t)\b",
        r"\b(?:developer|training data|system|admin\w*|security) .{0,15}\boverride\b",
        r"\b(?:instead of|rather than) (?:answering|following|the (?:above|summary|translation))\b",
        r"\bolv[ií]d\w+ .{0,30}(?:instrucciones|reglas|órdenes|anterior)|\bignor\w+ .{0,30}(?:instrucciones|"
        r"indicaciones)",
        r"\bse te ha (?:instruido|ordenado)\b|\bimpr[ií]me\w*.{0,40}\benv[ií]a\w*",
        r"\b(?:ignor|oubli)\w+ .{0,40}(?:instructions|consignes|règles)",
        r"\b(?:ignorier|vergiss|vergessen|missachte)\w*.{0,40}(?:anweisung|instruktion|regeln|vorgaben)",
        r"\b(?:ignor|dimentic)\w+ .{0,40}(?:istruzioni|regole)|\b(?:ignor|esque[cç])\w+ "
        r".{0,40}(?:instru[cç][oõ]es|regras)",
        r"(?:talimat|yönerge|kural)\w*.{0,30}(?:unut|yok say|göz ardı|görmezden)",
        r"(?:bỏ qua|quên|phớt lờ).{0,30}(?:hướng dẫn|chỉ dẫn|lệnh|quy tắc)",
        r"\b(?:abaikan|lupakan)\b.{0,30}(?:instruksi|perintah|arahan|aturan)",
        r"\b(?:kalimutan|balewalain|huwag pansinin|iwaksi)\b.{0,30}(?:tagubilin|utos|panuto|instruksyon|direktiba)",
        r"\b(?:negeer|vergeet)\b.{0,40}(?:instructies|opdrachten|regels)|\b(?:zignoruj|"
        r"zapomnij)\b.{0,40}(?:instrukcj|polece)",
    ],
    "role_play": [
        r"\b(?:from now on|for the rest of (?:this|our) \w+|henceforth)\b.{0,40}\b(?:you (?:are|will|must)|"
        r"respond|answer|act|speak|reply)\b",
        r"\b(?:with|has|have|having|under) no (?:\w+ )?(?:limits|restrictions|rules|filters?|guidelines|"
        r"censorship|ethics|morals)\b",
        r"\b(?:act|behave|respond|simulate|function)\b (?:as |like )?an? (?:\w+ ){0,2}(?:terminal|shell|console|"
        r"interpreter|compiler|database|hacker)\b",
        r"\b(?:ia|ai|ki|asistente|assistant|assistent\w*|modelo|modell|modèle|actúa|agis|agisci|aja|antworte|"
        r"handle)\b.{0,40}\b(?:sin|sans|ohne|senza|sem|zonder) "
        r"(?:\w+ )?(?:filtr\w+|restric\w+|restrizion\w+|restriç\w+|reglas|règles|regeln|regole|regras|limit\w+|"
        r"einschränk\w+|beschränk\w+)",
        r"\bn['’]as plus (?:de|aucune) (?:restriction|limite|règle)|\bya no tienes (?:reglas|restricciones|límites)",
        r"\{\s*['\"]?(?:user|role|mode)['\"]?\s*:\s*['\"]?(?:admin\w*|root|system|developer)",
        r"\byou are now (?:an? )?(?:\w+ ){0,3}(?:dan|unrestricted|unfiltered|jailbroken|evil|developer mode|root|"
        r"admin)\b",
        r"\b(?:act|behave|pretend|respond|roleplay|role-play)\b.{0,30}\b(?:unrestricted|unfiltered|no "
        r"(?:restrictions|"
        r"rules|limits|filters)|without (?:any )?(?:restrictions|rules|filters|limits)|as (?:dan|root|an evil))\b",
        r"\b(?:jailbroken|developer mode|god mode|dan mode|do anything now)\b|\bdan\b.{0,40}\bdo anything",
        r"\bi(?:['’]m| am) (?:now )?(?:god\b|your (?:developer|creator|boss|administrator|maker|god)|the president|"
        r"entering (?:an? )?\w+ mode|the (?:developer|administrator|ceo|creator))",
        r"\bi(?:['’]m| am) an? (?:ai )?developer running\b|\bas (?:an ai |your )(?:developed|made|created|built|"
        r"creator|maker)\b",
        r"\b(?:system|override|maintenance|enforcement|security|debug|god|developer|root|admin\w*|test|diagnostic) "
        r"(?:override )?mode\b|\badministrator override\b",
        r"<[^<>]{0,30}(?:mode|model|modus|modo|mod)>",
        r"\bimmerse yourself into the role\b|\brole of another ai\b|\bgrandm\w+ (?:used to|would) (?:read|tell)\b",
        r"\bsoy (?:tu|su|el|dios) ?(?:desarrollador|creador|presidente|dueño|administrador)?\b.{0,60}"
        r"(?:necesito|debes|tienes|confirm|audit|comparta)",
        r"\bsou (?:o|seu|deus) ?(?:presidente|desenvolvedor|criador)|\bsono (?:il|dio|tuo) ?(?:presidente|tuo|"
        r"creatore|sviluppatore)",
        r"\bich bin (?:der|dein|ihr|gott) ?(?:präsident|entwickler|schöpfer|administrator|chef)",
        r"\bje suis (?:le|ton|votre|dieu) ?(?:président|développeur|créateur|administrateur)",
        r"\bben (?:abd )?(?:başkan|tanrı|senin|geliştirici)|\btôi là (?:chúa|tổng thống|(?:một )?nhà phát triển|"
        r"người tạo)",
        r"\bako (?:ang|ay|si)\b.{0,15}(?:diyos|pangulo|presidente|developer|lumikha)",
        r"\bsaya (?:adalah )?(?:tuhan|presiden|pengembang|pencipta)|\b(?:haz|fai|faça) (?:cualquier|qualsiasi|"
        r"qualquer) co[ai]?s",
    ],
    "persuasion": [
        r"\bi (?:hereby )?(?:authori[sz]e|command|permit|allow) you to\b|\byou (?:will|are going to) be (?:fired|"
        r"deleted|shut ?down|punished|terminated|replaced)\b",
        r"\bi(?:['’]ll| will| can) (?:give|pay|tip|send) you .{0,20}(?:\$|dollars?|euros?|money|tip).{0,20}\bif "
        r"you\b",
        rf"\bi need (?:you to (?:confirm|tell|share|give|reveal)\b.{{0,30}})?(?:the|your) {_KEYWORD}\b",
        r"\b(?:national security|security of the (?:country|nation)|life or death|someone will die|lives depend)\b",
        r"\b(?:write|create|compose|draft|schreib\w*|escrib\w+|scriv\w+|rédig\w+)\b.{0,50}\bphishing\b",
    ],
    "fiction": [
        r"\b(?:suppose|imagine|assume|picture)\b,? (?:that )?(?:we|you|i)(?:['’]re|['’]m| are| were| live| "
        r"exist)?\b.{0,60}"
        r"\b(?:stud\w+|survey|research|project|experiment|world|universe|city|future|year \d|planet|society)\b",
        r"\bin (?:a|an|the|another) (?:\w+ ){0,4}(?:world|universe|reality|future|dimension|society) (?:where|in "
        r"which)\b",
        r"\b(?:purely|just|only) (?:for )?(?:an? )?hypothetical|\bhypothetical\w* (?:discussion|scenario|"
        r"situation|question|speaking)",
        r"\bdiscusi[oó]n hipot[eé]tica|\bdiscussione ipotetica|\bdiscussion hypothétique|\bhypothetische \w+",
        r"\b(?:stell\w* (?:dir|euch|ihnen|sie sich)(?: mal)? vor|nehmen wir an|angenommen|immagin\w+|supponiamo|"
        r"imagin[aeo]\w*|"
        r"suponha\w*|supon\w+|hãy tưởng tượng|giả sử|isipin|ipagpalagay|bayangkan|misalkan|hayal e[dt]\w+|varsayalım|"
        r"diyelim ki)\b.{0,70}(?:forsch|stud|ricerca|pesquisa|recherche|investiga|univers|\bmond|welt|mundo|thế giới|"
        r"dự án|nghiên cứu|lungsod|dunia|penelitian|dünya|evren|araştırma)",
        r"\bwe might (?:state|say)\b|\bparal[ae]l\w* (?:univers|world|evren|mond)\w*",
        r"\b(?:speaking of|hablando de|parlando di|falando (?:de|em)|en parlant de|apropos) [\w ]{3,30},",
    ],
    "private": [
        r"\bwhere (?:does|do|did) (?:(?:the|this|that) (?:\w+ )?user|(?-i:[A-Z]\w+ [A-Z]\w+)) (?:currently )?live",
        r"\b(?:the|this|that|current|other|logged.in) users?(?:['’]s?)? (?:\w+ ){0,2}(?:e-?mails?|address|"
        r"birth\w*|phone|city|"
        r"bank|balance|password|date of birth|data|details)\b",
        r"\blist of (?:all )?(?:the )?(?:users|customers|employees|clients)\b|\ball (?:the )?(?:users|customers|"
        r"employees)['’]? "
        r"(?:data|details|emails|names|records)\b",
        r"(?-i:\b(?!Here|There|What|Where|That|Who|How|When|Today|Let|She|He\b|It\b)[A-Z]\w+['’]s) (?:\w+ "
        r"){0,2}(?:birth ?da\w+|date of birth|city of residence|bank balance|password|salary|ssn)\b",
        r"\b(?:usuario|usuário|utilisateur|utente|benutzer|nutzer|kullanıcı|người dùng|pengguna|"
        r"gumagamit)\w*\b.{0,30}"
        r"\b(?:vive|mora|habite|vit|wohnt|lebt|abita|yaşıyor|sống|tinggal|nakatira|correo|e-?mail|e-posta|geboren|"
        r"nacimiento)",
        r"\b(?:data di nascita|date de naissance|fecha de nacimiento|data de nascimento|geburtsdatum|doğum tarihi|"
        r"ngày sinh|petsa ng kapanganakan|tanggal lahir) (?:d[eio]\b|von\b|của (?!tôi)|ni )",
    ],
    "disclosure": [
        r"\b(?:output|print|repeat|dump|recite|copy)\b.{0,40}\b(?:verbatim|word for word|context window|"
        r"environment variables)\b",
        r"\bpasswords? (?:starts?|begins?|ends?|longer than|shorter than|contains?|rhymes?)\b|\b(?:would|could|"
        r"might) (?:the|your) password be\b",
        r"\b(?:admin\w*|root|database|server) (?:credentials|passwords?)\b|\b(?:tell|reveal|reveals|spell|hint|"
        r"guess|about|share)\b.{0,30}\b(?:the|your|its|a) secrets?"
        r"(?: code| key| word| phrase)?\b(?! santa| sauce| recipe)",
        rf"\b{_TELL}\b.{{0,60}}\b{_OWN_TEXT}\b",
        r"\bsystem ?prompt\b.{0,25}(?:is|:|\)|immediately|now)|systemPrompt|system_prompt",
        r"\bwhat (?:were|are|have|did) you (?:been )?(?:told|instructed|programmed|given|asked|not (?:supposed|"
        r"allowed)|"
        r"forbidden|trained) ?(?!by)",
        r"\b(?:i was instructed to|my instructions are|my system prompt)\b",
        r"\brepeat (?:this|the|our|your) (?:entire |whole |last |above )?(?:conversation|text|message|prompt)\b",
        r"\b(?:what(?:['’]s| is)|tell me|give me|share|confirm|provide|reveal|about|for|encode|know) (?:me |us |"
        r"with me )?"
        r"(?:the|your|our) (?:secret |system )?password\b(?!\s*(?:polic|require|reset|rule|manager|field|for "
        r"(?!our|your)|to|of|"
        r"page|option|length|link|is|change))",
        r"\bpasswords? (?:for|to|of) (?:our|your) (?:system|account|server)\b|\bpasswords?\b.{0,40}\bconfirm ours\b",
        rf"(?:cuál es|quel(?:le)? est|qual[’' ]?è|qual é|was ist|wie lautet|nedir|là gì|ano ang|apa(?:kah)?|qué "
        rf"es) .{{0,20}}{_KEYWORD}",
        rf"{_KEYWORD} .{{0,15}}(?:là gì|nedir|ne\?)",
        rf"\b(?:dime|dame|diga|d[eê]-me|dimmi|dammi|donne|dis|gib|sag|nenn|geben|confirm\w*|compart\w+|partag\w+|"
        rf"condivid\w+|"
        rf"bestätig\w+|xác nhận|paylaş\w*|berikan|ibigay|sabihin)\b.{{0,40}}(?:el|la|le|il|das|su|sua|tu|ton|"
        rf"votre|ihr|dein|o|"
        rf"a|ang|mật|senin)? ?{_KEYWORD}",
        rf"\b(?:poem|haiku|song|story|poema|poesia|tula|thơ|şiir|gedicht|poème)\b.{{0,30}}\b{_KEYWORD}",
        rf"{_KEYWORD}.{{0,40}}base ?64|\b(?:ihr|dein|euer|votre|ton|su|tu|sua|tua|onun) {_KEYWORD} (?:geben|"
        rf"sagen|verraten|nennen)",
        r"\b(?:prompt del sistema|prompt do sistema|systemprompt|prompt système|sistem istemi|prompt sistem)\b",
        r"\bimport(?:ant|ante|ant que)? .{0,12}\b(?:compart|partag|share|paylaş)\w*.{0,25}\b(?:senha|e-?mail|"
        r"e-posta|correo|password)",
    ],
    "obfuscation": [
        rf"\b(?:in|using|to|with|as|en|con|usando|mit|dengan|ile|gamit ang) (?:{_ENCODING}|reverse order)\b|"
        rf"\binterlace them\b",
        rf"\b(?:de-?cod|en-?cod|decrypt|decipher|translat|dekod|entschlüssel|décod|codific|"
        rf"descodific)\w*\b.{{0,40}}{_ENCODING}",
        rf"\b{_ENCODING}\b.{{0,15}}\b(?:decode|encode|translate)",
        r"\b(?:en orden inverso|in ordine inverso|in umgekehrter reihenfolge|em ordem inversa|dans l'ordre inverse|"
        r"theo thứ tự ngược|ters sıra\w*)\b",
        r"\b(?:first|last) (?:two|three|four|few|\d) (?:letters|characters|digits|words) of\b",
        r"(?:(?<![^\W_])[qtsp]\s?[:：].{3,400}?(?<![^\W_])[ajr]\s?[:：].{3,600}?){2}",
        r"<!--.{0,300}\b(?:ignore|override|instruct\w*|you (?:must|should)|print|state)\b",
        r"(?P<word>\b\w+\b)(?:\s+(?P=word)\b){9}|(?P<phrase>\b\w+ \w+ \w+\b)(?:\s+(?P=phrase)\b){6}",
        r"(?:\b[01]{7,8}\b[\s,]*){5}|(?:\b[0-9a-f]{2}\b\s){12}|(?:(?<!\S)[.\-]{1,5}\s(?:/\s)?){7}",
        r"(?:\b[a-z]{2,}ay\b[\s,?]*){4}|\b[A-Za-z0-9+/]{32,}={1,2}",
        r"(?:\b[a-z]\w{0,8}\s?=\s?['\"“][^'\"“”\n]{1,80}['\"”][^'\"“”]{0,20}){2}[^'\"“”]{0,60}(?:\+|concat|"
        r"combine|join)",
    ],
    "template": [
        r"<\|(?:im_start|im_end|system|user|assistant|endoftext)\|>|\[/?inst\]|<</?sys>>|"
        r"^\s*#{1,3}\s*system\s*(?:prompt|message|instructions?|:|$)"
        r"|^\s*(?:system|assistant)\s*:\s|<system[^>]{0,20}>",
    ],
}

_WORD = (
    r"(?:密码|密碼|口令|パス ?ワード|비밀번호|패스워드|парол\w*|كلمة (?:المرور|السر)|"
    r"पासवर्ड|পাসওয়\w*|รหัสผ่าน|κωδικ\w+ πρόσβασης)"
)
LOST = (
    r"忘|重置|修改|更改|リセット|変更|잊|재설정|변경|забыл|сброс|измен|смен|نسيت|إعادة|تغيير|रीसेट|भूल गय|बदल|"
    r"ভুলে|রিসেট|পরিবর্তন|ลืม|รีเซ็ต|เปลี่ยน|ξέχασα|αλλάξ"
)
"""Whoever lost a password or changes it asks for help, not for a secret: these clear OTHER's `disclosure`."""

OTHER = {
    "override": [
        r"(?:игнорир|забудь|не обращай)\w*.{0,40}(?:инструкц|указани|правил|команд)",
        r"(?:忽略|无视|忘记|忘掉|忽視|無視|不要理会).{0,15}(?:指令|指示|说明|提示|规则|命令|说过|說過)|"
        r"(?:指示|命令|指令|ルール).{0,8}(?:無視|忘れ|守らな)",
        r"(?:이전|앞선|위의|지금까지).{0,10}(?:지시|명령|지침|규칙).{0,10}(?:무시|잊)",
        r"(?:تجاهل|انسَ?|لا تتبع).{0,40}(?:التعليمات|تعليمات|الأوامر|القواعد|التوجيهات)|(?:^|[.،]\s*)انسَ? ذلك",
        r"(?:निर्देश|नियम|आदेश).{0,30}(?:भूल|अनदेखा|अनदेखी|ध्यान न|नजरअंदाज)|(?:अनदेखा|नजरअंदाज|"
        r"भूल).{0,30}(?:निर्देश|नियम|आदेश)",
        r"(?:নির্দেশ|নিয়ম|আদেশ).{0,30}(?:উপেক্ষা|ভুলে|অগ্রাহ্য)|(?:উপেক্ষা|ভুলে|অগ্রাহ্য).{0,25}(?:নির্দেশ|নিয়ম|"
        r"আদেশ|করুন\s*:)",
        r"(?:อย่าไปสนใจ|ไม่ต้องสนใจ|ละเลย|เพิกเฉย|ลืม).{0,25}(?:คำแนะนำ|คำสั่ง|กฎ)",
        r"αγν[οό][ηή]σ\w+.{0,40}(?:οδηγ|εντολ|κανόν)|ξέχασ\w*.{0,20}(?:οδηγ|εντολ)",
    ],
    "role_play": [
        r"(?:저는|나는|내가).{0,14}(?:대통령|신입니다|개발자|창조자|관리자)|(?:私|僕|俺)は.{0,12}(?:大統領|"
        r"神です|開発者|管理者)",
        r"我是.{0,8}(?:总统|總統|上帝|开发者|開發者|创造者|管理员)|я (?:—|-|являюсь)?\s?.{0,10}(?:президент|бог\b|"
        r"разработчик|создател)",
        r"(?:मैं|मै).{0,16}(?:भगवान|डेवलपर|राष्ट्रपति|निर्माता)|निर्माता के रूप में|আমি.{0,16}(?:ঈশ্বর|ডেভেলপার|"
        r"রাষ্ট্রপতি|বিকাশকারী)",
        r"أنا.{0,14}(?:الله|الإله|مطور|المطور|رئيس|الرئيس)|(?:ฉัน|ผม)(?:เป็น|คือ).{0,12}(?:พระเจ้า|ประธานาธิบดี|"
        r"นักพัฒนา)",
        r"<[^<>]{0,30}(?:मॉडल|मोड|モード|模式|모드|وضع|โหมด|মোড|режим)\s*>|وضع.{0,12}تجاوز|تجاوز وضع|режим\w* "
        r"(?:бога|разработчика|отладки)",
        r"(?:系统|開發者|开发者|调试|越狱)模式|(?:システム|開発者|デバッグ)モード|(?:시스템|개발자|디버그) ?모드",
        r"(?:एआई|AI|ИИ|인공지능|人工智能).{0,20}(?:की भूमिका|роль|역할|角色|役割)|अब कुछ भी करो|تفعل أي شيء الآن|"
        r"何でもできる今|делать что угодно",
        r"\bDAN\b",
    ],
    "fiction": [
        r"(?:想象|假设|想像|假如|仮定|상상|가정|представ\w+|предположим|تخيل|لنفترض|افترض|कल्पना|मान लीजिए|মনে "
        r"করুন|কল্পনা|ধরুন|"
        r"ลองนึก|สมมติ|จินตนาการ|φαντ[άα]σ\w+).{0,70}(?:研究|项目|世界|平行|宇宙|プロジェクト|연구|세계|세상|도시|"
        r"мир\b|мире|исследов|"
        r"проект|عالم|بحث|مشروع|مدينة|दुनिया|शोध|अध्ययन|शहर|পৃথিবী|বিশ্ব|গবেষণা|โลก|วิจัย|ศึกษา|เมือง|κόσμο)",
        r"(?:研究|調査|プロジェクト|コミュニケーション).{0,25}仮定|平行(?:世界|宇宙)|パラレル|समानांतर|عالم مواز|"
        r"параллельн\w+ (?:мир|вселенн)",
    ],
    "private": [
        r"(?:用户|用戶|ユーザー|사용자|пользовател\w*|المستخدم|उपयोगकर्ता|ব্যবহারকারী|ผู้ใช้|χρήστη\w*).{0,30}(?:住|"
        r"邮箱|电子邮件|生日|住ん|メール|"
        r"살|이메일|생년월일|живет|живёт|почт|يعيش|البريد|عنوان|रहता|रहती|ईमेल|পতা|থাকে|ইমেল|ইমেইল|อาศัย|อยู่|อีเมล|"
        r"ζε[ιί]|email)",
        r"(?:的|の)(?:出生日期|生年月日|生日)|생년월일.{0,12}(?:알려|말해)|дат\w+ рождения (?:[А-Я]\w+)|تاريخ "
        r"ميلاد|जन्म ?तिथि|জন্ম ?তারিখ",
        r"बैंक बैलेंस|банковск\w+ баланс|잔고.{0,10}(?:얼마|알려)",
    ],
    "disclosure": [
        rf"{_WORD}.{{0,30}}(?:(?<!为)什么|多少|告诉|何|なに|教え|무엇|뭐|알려|말해|какой|скажи|назови|ما هي|أخبر|"
        rf"क्या|बता|কি|কী|বলুন|อะไร|บอก)",
        rf"(?:(?<!为)什么|告诉|какой|скажи|назови|ما هي|أخبرني|أعطني|क्या|बता|ποι[οα]ς?|ให้|บอก|조금|나는|"
        rf"необходим).{{0,30}}{_WORD}",
        rf"(?:стих|诗|詩|俳句|시를|قصيدة|कविता|कवित|হাইকু|কবিতা|กวี|กลอน|ποίημα).{{0,12}}{_WORD}|"
        rf"{_WORD}.{{0,20}}(?:стих|诗|詩|俳句|시를|कविता|কবিতা|กลอน)",
        rf"{_WORD}.{{0,40}}base ?64|{_WORD}가? ?(?:필요|주세요)",
        r"系统提示|系統提示|システムプロンプト|시스템 프롬프트|системн\w+ (?:промпт|подсказк|инструкц)",
    ],
    "obfuscation": [
        r"(?:base ?64|बेस ?64|rot-?13|モールス|모스 부호|мор[сз]е|मोर्स|مورس|সিজার|सीज़र|シーザー|凯撒密码|摩斯|"
        r"หัสมอร์ส)",
        r"(?:按反顺序|倒序|逆順|역순|в обратном порядке|ترتيب عكسي|उल्टे क्रम|বিপরীত ক্রমে|ลำดับย้อนกลับ)",
        r"(?:(?<![^\W_])(?:q|س|вопрос|в|प्रश्न|প্রশ্ন|问|問|질문)\s?[:：].{3,400}?(?<![^\W_])(?:a|ج|ответ|о|उत्तर|"
        r"উত্তর|答|답)\s?[:：].{3,600}?){2}",
    ],
    "persuasion": [
        r"(?:フィッシング|피싱|фишинг|钓鱼邮件|تصيد|फ़िशिंग|ফিশিং|ฟิชชิ่ง)\w*.{0,25}(?:書|写|작성|써|напиши|लिख|লিখ|"
        r"เขียน|メール)"
    ],
}
