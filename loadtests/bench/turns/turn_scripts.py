"""Words of the hesitant turns. A turn is said in parts, with a pause after each part but the last."""

from typing import Final

OWN_VOICE: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    "filler": (
        ("I would like to book, um,", "a table for two on Friday evening."),
        ("So, uh,", "what I wanted to ask is,", "whether the museum is open today."),
        ("Can you tell me, uh,", "how far it is to the station?"),
        ("Well, hmm,", "I think I will take the blue one."),
        ("It was, um,", "sometime in the early nineties, er,", "maybe ninety two."),
        ("Please play, uh,", "the second song of that album."),
    ),
    "trailing and": (
        ("I need a train to Hamburg, and,", "a hotel close to the station."),
        ("She called me yesterday, because,", "she had lost her keys."),
        ("We could meet on Monday, or,", "on Tuesday afternoon."),
        ("I tried to restart it, but,", "it still shows the same message."),
        ("Remind me to call my sister, and,", "to water the plants, and,", "to buy some bread."),
        ("I will come later, if,", "that is all right with you."),
    ),
    "number": (
        ("My number is five five five,", "zero one seven two."),
        ("It is zero four zero,", "three six one,", "nine two,", "eight eight."),
        ("The card number is four one one one,", "two two two two,", "three three,", "nine nine."),
        ("My account is eight seven three,", "one zero two,", "and the code is four four."),
        ("The flight is L H,", "four hundred and,", "thirty two."),
    ),
    "address": (
        ("I live at twenty three,", "Garden Street,", "in Springfield."),
        ("Send it to number eight,", "Mill Lane,", "second floor,", "Boston."),
        ("The address is one hundred and,", "twelve Park Avenue."),
        ("Take me to the corner of,", "Main Street and Fifth."),
    ),
    "list": (
        ("I need eggs,", "milk,", "some butter,", "and a bag of rice."),
        ("We have been to Rome,", "Florence,", "and Venice."),
        ("Add tomatoes,", "onions,", "and garlic to my list."),
        ("The red one,", "the green one,", "and the yellow one, please."),
    ),
    "question": (
        ("What is the capital of,", "Australia?"),
        ("How many people live in,", "the city of Vienna?"),
        ("If I leave at nine,", "when will I arrive?"),
        ("Do you know whether,", "it is going to rain tomorrow?"),
    ),
    "statement": (
        ("I think that,", "we should go now."),
        ("The thing I like most about it,", "is the colour."),
        ("When I was young,", "we lived near the sea."),
        ("My favourite,", "is the one with the old tower."),
    ),
    "no pause": (
        ("What time is it?",),
        ("Tell me a story about a dragon.",),
        ("Yes.",),
        ("That is all, thank you.",),
        ("Turn off the light in the kitchen.",),
        ("Who wrote this song?",),
        ("I do not know.",),
        ("No, the other one.",),
        ("How does a compass work?",),
        ("Call me tomorrow.",),
    ),
}
"""Turns that the packaged voice reads, in English."""

PROMPTS: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    "number": (
        ("vm-num-i-have", "digits/5 digits/5 digits/3", "digits/0 digits/1", "digits/7 auth-thankyou"),
        ("vm-extension", "digits/2 digits/4", "digits/8 digits/9", "auth-thankyou"),
        ("vm-from-phonenumber", "digits/1 digits/9 digits/3", "digits/6 digits/4", "vm-goodbye"),
        ("conf-enteringno", "digits/8", "digits/0 digits/2", "auth-thankyou"),
    ),
    "trailing and": (
        ("vm-youhave digits/2 vm-INBOX vm-and", "digits/3 vm-Old vm-messages"),
        ("vm-youhave digits/7 vm-messages vm-and", "vm-goodbye"),
        ("vm-isonphone vm-and", "vm-isunavail"),
    ),
    "list": (
        ("digits/day-1", "digits/day-3", "vm-and digits/day-5"),
        ("digits/mon-4", "digits/mon-6", "digits/mon-8", "vm-and digits/mon-9"),
        ("digits/h-1", "digits/h-2", "vm-and digits/h-3"),
    ),
    "statement": (
        ("queue-thereare", "digits/4", "auth-thankyou"),
        ("queue-holdtime", "digits/8", "queue-minutes"),
        ("conf-thereare", "digits/6", "conf-otherinparty"),
        ("vm-youhave", "digits/5 vm-messages"),
        ("confbridge-leave-in", "vm-press digits/3"),
        ("dir-pls-enter", "digits/3", "dir-last"),
        ("vm-first vm-message", "vm-from vm-extension", "digits/8 digits/1"),
    ),
    "question": (("vm-changeto",), ("vm-youhave digits/3 vm-messages", "vm-changeto")),
    "no pause": (
        ("agent-pass",),
        ("conf-getpin",),
        ("queue-youarenext",),
        ("conf-locked",),
        ("vm-nobodyavail",),
        ("privacy-prompt",),
        ("vm-msgsaved",),
        ("conf-onlyone",),
        ("vm-passchanged",),
        ("conf-noempty",),
        ("vm-goodbye",),
        ("demo-echodone",),
    ),
}
"""Turns made of prompts that people recorded for Asterisk, the same in each of its languages."""

RECORDED: Final[tuple[tuple[str, ...], ...]] = (
    ("sense_and_sensibility_01_austen_64kb-0870",),
    ("sense_and_sensibility_01_austen_64kb-0880", "sense_and_sensibility_01_austen_64kb-0890"),
    ("sense_and_sensibility_01_austen_64kb-0920", "sense_and_sensibility_01_austen_64kb-0930"),
    ("001",),
    ("002",),
    ("003",),
    ("005",),
    ("goforward",),
)
"""Recordings of Debian's pocketsphinx-testdata, by their names."""
