"""Short phrases: greetings in six languages, and what stays English beside them."""

from typing import Final

FOREIGN: Final[dict[str, str]] = {
    "de": (
        "Guten Tag!|Guten Morgen!|Danke schön!|Wie geht's?|Auf Wiedersehen!|Bitte sehr.|Gute Nacht!|"
        "Ja, natürlich.|Kein Problem.|Ich weiß nicht."
    ),
    "es": (
        "¿Qué tal?|¡Buenos días!|Muchas gracias.|¡Hasta luego!|Sí, claro.|De nada.|¡Hola, amigo!|"
        "¿Cómo estás?|No lo sé.|¡Feliz año!"
    ),
    "fr": (
        "Bonjour !|Ça va ?|Merci beaucoup.|Bonne nuit !|À bientôt !|Je ne sais pas.|Très bien.|"
        "C'est la vie.|Où est-il ?|Bien sûr."
    ),
    "it": (
        "Buongiorno!|Come stai?|Grazie mille.|Buona notte!|Non lo so.|Va bene.|Perché no?|"
        "Ciao, bella!|A domani!|È vero."
    ),
    "pt": (
        "Bom dia!|Tudo bem?|Muito obrigado.|Boa noite!|Não sei.|Até logo!|Com licença.|Está bem.|"
        "Sim, claro.|Você está bem?"
    ),
    "nl": (
        "Goedemorgen!|Hoe gaat het?|Dank je wel.|Tot ziens!|Ik weet het niet.|Goede nacht!|"
        "Geen probleem.|Ja, natuurlijk.|Alsjeblieft.|Heel goed."
    ),
}
"""Ten each, parted by bars."""
ENGLISH: Final = (
    "Hello!|Hi there!|Good morning!|Good night!|Good day!|Of course!|Of course.|Sure thing.|"
    "No problem.|You're welcome.|Thank you!|Thanks a lot.|Thanks.|Many thanks.|See you soon!|"
    "See you.|Goodbye!|Bye!|Bye-bye.|Take care!|Well done!|Great!|Great job.|Nice work.|"
    "Very good.|Very well.|Not bad.|I see.|I know.|I do.|I am.|I did.|I can.|I do not.|"
    "I don't know.|I'm fine.|It is.|It's me.|That's it.|That's all.|That's right.|Exactly.|Indeed.|"
    "Perhaps.|Maybe.|Maybe not.|Probably.|Certainly.|Absolutely!|Definitely.|Let me see.|Let's go!|"
    "Let's begin.|Go on.|Go ahead.|Come in.|Come on!|Stop!|Wait!|Wait a bit.|Hold on.|One moment.|"
    "Just a second.|Listen.|Look!|Look here.|Run!|Help!|Yes.|Yes!|No.|No!|Okay.|OK, then.|"
    "Alright.|All right.|Right.|Fine.|Sorry!|I'm sorry.|Excuse me.|Pardon?|What?|Why?|Why not?|"
    "How so?|Who?|Who is it?|When?|Where?|Where to?|What now?|What else?|Really?|Is it?|Are you?|"
    "Do you?|Can I?|May I?|Shall we?|Once more.|Again.|Next.|Done.|Done!|Ready?|Ready.|Set, go!|"
    "Step one.|Step 2.|Part two.|Chapter 3.|The End.|The end.|In short.|In sum.|For now.|"
    "So be it.|So long.|And then?|And you?|And so on.|But why?|Oh no!|Oh dear.|Oh well.|Wow!|"
    "Hooray!|Hmm.|Aha!|Ouch!|Cheers!|Congrats!|Welcome!|Welcome back!|Happy Easter!|"
    "Merry Christmas!|Happy birthday!|Good luck!|Have fun!|Enjoy!|Sleep well.|Sweet dreams.|"
    "Get well.|Rest now.|Be careful.|Be quiet.|Be kind.|Do it.|Do it now.|Try again.|Try this.|"
    "Use it.|Use Python.|Click OK.|Press Enter.|Run make.|Git pull.|Docker.|Python 3.|Red.|Blue.|"
    "Green.|Two.|Three.|Ten men.|Four.|Twelve.|At noon.|At nine.|On Monday.|In May.|In June.|"
    "In 1995.|By bus.|By car.|In Rome.|In Paris.|In Berlin.|Madrid.|Lisbon.|Vienna.|Munich.|"
    "Lima.|Oslo.|Milan.|Turin.|Naples.|San Jose.|San Diego.|Los Angeles.|Las Vegas.|El Paso.|"
    "Santa Fe.|Baton Rouge.|New York.|Des Moines.|Buenos Aires.|Den Haag.|Sao Paulo.|Bogotá.|"
    "Málaga.|Zürich.|Köln.|Düsseldorf.|Curaçao.|Claude Monet.|Vincent van Gogh.|Pablo Picasso.|"
    "Frida Kahlo.|Karl Marx.|Johann Bach.|Ludwig.|Giuseppe Verdi.|Don Quixote.|Don Juan.|Mona Lisa.|"
    "Notre Dame.|Eiffel.|Louvre.|Pizza.|Pasta.|Spaghetti.|Tiramisu.|Croissant.|Bratwurst.|"
    "Sauerkraut.|Kindergarten.|Zeitgeist.|Taco.|Burrito.|Jalapeño.|Piñata.|Señor.|Fiancé.|Résumé.|"
    "Voilà!|Bravo!|Ciao!|Adios!|Amigo.|Gesundheit!|Bon voyage!|Maria Garcia.|Jean-Luc Picard.|"
    "Hans Zimmer.|Anna Karenina.|Beyoncé.|Björk.|Zoë Kravitz.|Mbappé.|Ronaldo.|Messi.|Pelé.|"
    "Neymar.|Toyota.|Volkswagen.|Mercedes.|Nestlé.|Häagen-Dazs.|Lindt.|Ikea.|Lego.|Nokia.|"
    "Spotify.|Audi.|Fiat.|Renault.|Peugeot.|Vespa.|Et cetera.|Ad hoc.|Per se.|Vice versa.|"
    "Alma mater.|Carpe diem.|Status quo.|Bona fide.|Tyrannosaurus rex.|E. coli.|Aloe vera.|"
    "Ibuprofen.|Paracetamol.|Nitrogen.|Sodium.|DNA.|RNA.|Photosynthesis.|Mitochondria.|Pi.|Alpha.|"
    "Omega.|Mars.|Venus.|Jupiter.|Io.|Titan.|Amazon.|Nile.|Danube.|Everest.|Mont Blanc.|"
    "Kilimanjaro.|Honolulu.|Aloha!|Namaste.|Sayonara.|Karaoke.|Sushi.|Emoji.|Tsunami.|Yes, sir.|"
    "No, thanks.|Yes, please.|After you.|My pleasure.|Good idea.|Good point.|Good question.|"
    "Fair enough.|Never mind.|No way!|No idea.|Not yet.|Not now.|Not me.|Me too.|Me neither.|"
    "Same here.|Who knows?|What time?|How much?|How many?|How far?|How old?|Guess who.|"
    "Hang in there.|Long ago.|At last.|At once.|In time.|On time.|Too late.|Too bad.|So far.|"
    "So what?|Tell me.|Tell us.|Show me.|Give it time.|Mind the gap.|Watch out!|Sit down.|"
    "Stand up.|Turn left.|Turn right.|Straight on.|Up.|Down.|Left.|Right here.|Over there.|"
    "Somewhere.|Nowhere.|Always.|Never.|Often.|Sometimes.|Today.|Tomorrow.|Tonight.|Monday.|"
    "Friday.|January.|August.|Spring.|Winter.|It rains.|It snows.|It's cold.|It's hot.|"
    "It was fun.|He ran.|She sat.|They met.|We won.|I won!|You lost.|He left.|She smiled.|"
    "Dogs bark.|Birds sing.|Cats purr.|Tom ran.|Ann ate.|Bob is in.|Eva cried.|Otto slept.|"
    "Mia sang.|Leo nodded.|Ella met Max.|Salt.|Sugar.|Tea or coffee?|Milk.|Bread.|Butter.|Eggs.|"
    "Rice.|Gin and tonic.|A man.|A dog.|An ant.|A rose.|Art.|Music.|Opera.|Ballet.|Drama.|Poem.|"
    "Haiku.|Sonnet.|Novel.|Memoir.|Gene.|Atom.|Quark.|Data.|Total: 5.|Sum: 12.|Note:|Warning!|"
    "Error.|True.|False.|None.|Null.|Yes and no.|More or less.|As if!|Do tell.|Do go on.|"
    "Hear, hear!|Amen.|Hallelujah!|Eureka!|Tada!|Phew.|Yikes!|Yum!|Boo!|Shh.|Ha ha!|"
    "Hello, world!|Hello, Maria.|Hi, Hans!|Hi, José!|Dear Anna,|Dear Zoë,|Yours, Ben.|Love, Mia."
)
