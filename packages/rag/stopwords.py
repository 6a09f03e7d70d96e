"""Function words that a search leaves out, per language; also how a language is recognised."""

_WORDS = {
    "en": """
a about above after again all also am an and any are aren't as at be because been before being below between
both but by can can't cannot could did do does doesn't doing don't down during each few for from further had has
have having he her here hers him his how i i'm i've if in into is isn't it it's its just me more most my no nor
not of off on once only or other our ours out over own same she should so some such than that the their theirs
them then there these they this those through to too under until up very was we were what when where which while
who whom why will with won't would you your yours yourself
""",
    "es": """
a al algo algunos ante antes como con contra cual cuál cuando cuándo cómo de del desde donde dónde durante e el
él ella ellas ellos en entre era es esa ese eso esta está están este esto estos fue ha hasta hay la las le les
lo los más me mi mis mucho muy nada ni no nos nosotros o os otra otro para pero poco por porque qué que quien
quién se ser si sí sin sobre son su sus también tanto te tiene tienen todo todos tu tus un una uno unos y ya yo
puedo
""",
    "fr": """
à a au aux avec c'est ce ces cet cette comme comment d'un d'une dans de des donc du elle elles en est et eux il
ils j'ai je l'on la le les leur leurs lui là ma mais me mes moi mon même n'est ne nos notre nous on ont ou où
par pas plus pour pourquoi qu qu'il quand que quel quelle quelles quels qui s'il sa sans se ses si son sont sur
ta te tes toi ton tu un une vos votre vous y été être
""",
    "de": """
aber alle als also am an auch auf aus bei bin bis bist da damit das dass dein dem den der des die dies diese
dieser dieses doch dort du durch ein eine einem einen einer eines er es für haben hat hatte ich ihr ihre im in
ist ja kann kein keine können man mein meine mich mir mit nach nicht noch nur ob oder ohne sehr sein seine sich
sie sind so über um und uns unser unter von vor wann war warum was wenn wer werden wie wird wir wo zu zum zur
""",
    "it": """
a ad ai al alla alle anche c'è che chi ci come con cosa da dal dalla dei del della delle di dove e è ed gli ha
hanno ho i il in io la le lei lo loro lui ma mi mia mio ne nei nel nella no noi non o per perché più può quale
quando quello questa questo se sei si sono su sua sul sulla suo ti tra tu tuo un una uno vi voi
""",
    "pt": """
a ao aos as até com como da das de dela dele depois do dos e é ela ele eles em entre era essa esse esta está
este eu foi há isso isto já lhe mais mas me meu minha muito na não nas nem no nos nós o os ou para pela pelo por
porque quais qual quando que quem se sem ser seu sua são só também tem tenho um uma você vocês
""",
    "nl": """
aan al als bij dan dat de deze die dit doen door dus een en er ga geen had heb hebben heeft het hij hoe ik in is
ja je jij kan kunnen maar me meer met mij mijn moet na naar niet nog nu of om omdat ons ook op over te toch tot
u uit uw van veel voor waar waarom want waren was wat we wel wie wij word wordt ze zich zij zijn zo zou
""",
    "sv": """
alla att av blev bli blir de dem den denna det detta dig din du där efter ej eller en er ett från för ha hade
han har hon hur här i icke ingen inte jag kan kunde man med men mig min mot mycket ni nu när någon och om oss på
samma sedan sig sin ska skulle som så till under upp ut utan vad var vara vi vid vilka är
""",
    "ru": """
а без более бы был была были было быть в вам вас весь во вот все всего вы где да для до его ее ей если есть еще
же за здесь и из или им их к как когда кто ли мне мой можно мы на над надо нас не него нет ни но о об он она они
от по под после при с со так также там то того тоже только ты у уже что чтобы эта это этот я
""",
    "tr": """
ama ancak bana bazı ben benim beni bir biz bu çok çünkü da daha de defa diye gibi hem hep hepsi her için ile ise
kadar ki kim mi mı mu mü nasıl ne neden nerede niçin o olan olarak onu sen siz şu ve veya ya yani
""",
    "id": """
ada adalah agar akan anda apa atau bagaimana bahwa bisa dan dapat dari dengan di dia harus ini itu jika juga
kami karena ke kita lagi lebih mereka oleh pada saat saya sebagai sudah tidak untuk yang
""",
}

STOPWORDS: dict[str, frozenset[str]] = {code: frozenset(words.split()) for code, words in _WORDS.items()}
