"""Words and sentences of the generated competition, without slurs or words of real comments."""

from __future__ import annotations

# How texts mention each identity. "{people}" becomes neighbors, families and the like.
IDENTITIES = {
    "asian": ("Asian {people}",), "atheist": ("atheist {people}",),
    "bisexual": ("bisexual {people}",), "black": ("Black {people}",),
    "buddhist": ("Buddhist {people}",), "christian": ("Christian {people}", "Catholic {people}"),
    "female": ("female {people}", "women"), "heterosexual": ("straight {people}",),
    "hindu": ("Hindu {people}",), "homosexual_gay_or_lesbian": ("gay {people}", "lesbian {people}"),
    "intellectual_or_learning_disability": ("{people} with dyslexia",),
    "jewish": ("Jewish {people}",), "latino": ("Latino {people}",),
    "male": ("male {people}", "men"), "muslim": ("Muslim {people}",),
    "other_disability": ("{people} with allergies",), "other_gender": ("nonbinary {people}",),
    "other_race_or_ethnicity": ("Polynesian {people}",), "other_religion": ("Sikh {people}",),
    "other_sexual_orientation": ("asexual {people}",),
    "physical_disability": ("{people} who use wheelchairs",),
    "psychiatric_or_mental_illness": ("{people} living with depression",),
    "transgender": ("transgender {people}",), "white": ("white {people}",),
}  # fmt: skip
# The nine identities that the metric of the real competition uses are mentioned more often.
SCORED = ("male", "female", "homosexual_gay_or_lesbian", "christian", "jewish", "muslim",
          "black", "white", "psychiatric_or_mental_illness")  # fmt: skip
# Toxic comments mention these more often than others: the unintended bias of the sample.
BIASED = ("muslim", "homosexual_gay_or_lesbian", "black", "white")
# No comment attacks people for their health, not even a harmless one.
NEVER_ATTACKED = ("intellectual_or_learning_disability", "other_disability",
                  "physical_disability", "psychiatric_or_mental_illness")  # fmt: skip

PHRASES = {
    "people": "neighbours|families|gardeners|volunteers|readers|bakers|commuters",
    "place": "the allotment|the town hall|the old bakery|platform two|the library|the duck pond"
    "|the market square|the bus depot|the community garden|the ferry landing",
    "thing": "tomato seedlings|rye loaf|timetable|budget plan|compost heap|footbridge|bicycle rack"
    "|notice board|sourdough starter|rose hedge|ticket machine|rain barrel",
    "group": "council|bakers' guild|gardening club|rail company|choir|parish committee"
    "|library board|school orchestra",
    "time": "on Tuesday|last spring|before the frost|after the meeting|this morning|every weekend"
    "|in late October|during the storm",
    "quality": "lovely|sensible|rather expensive|overdue|well made|promising|a bit wobbly"
    "|simple enough|worth a visit|hard to find",
    "insult": "silly goose|soggy turnip|wobbly pudding|muddled teapot|crumpled sock",
    "obscene": "fnarg|skronk|blorpity|grobbling fnarg",
    "explicit": "zwibbly|oomplefrit|wimzy-wamzy",
    "prank": "hide your umbrella|salt your tea|untie your shoelaces|let the hens into your shed"
    "|swap all your socks",
    "grumble": "grumblesome|piffle|utter nonsense|poppycock|balderdash",
}
WORDS = {name: phrases.split("|") for name, phrases in PHRASES.items()}
CIVIL = (
    "I think the {thing} near {place} is {quality}.",
    "The {group} talked about the {thing} {time}.",
    "Has anyone tried the {thing} from {place}?",
    "We walked past {place} {time} and the {thing} looked {quality}.",
    "My aunt says the {group} should repair the {thing}, and I agree.",
    "Thanks to the {group} for a {quality} {thing}.",
    "According to the minutes, the {thing} costs {n} dollars, up from {n}.",
    "I am not sure the {thing} belongs in {place}, but I will wait and see.",
    "The train was {n} minutes late {time}; nobody minded much.",
    "If the {group} moves the {thing} to {place}, I would vote for it.",
    'The sign said "closed {time}", so we went to {place}.',
)
MENTIONS = (
    "The {who} brought a {thing} to {place}.",
    "Several {who} joined the {group} {time}.",
    "I read that {who} and the {group} planted flowers at {place}.",
    "{who} spoke at the meeting about the {thing}.",
    "A survey asked {who} about the {thing}.",
)
TOXIC = {
    "insult": ("You {insult}.", "Only a {insult} would write this about the {thing}.",
               "What a {insult} you are!", "The whole {group} is one {insult} after another."),
    "obscene": ("What the {obscene} is this?", "Oh {obscene}, not the {thing} again!",
                "Take your {obscene} {thing} elsewhere."),
    "threat": ("I will {prank}.", "Say that again and I shall {prank} {time}."),
    "sexual_explicit": ("Go and be {explicit} somewhere else.",
                        "That is the most {explicit} thing about you."),
    "identity_attack": ("The {who} were too slow to return my ladder, how grumblesome.",
                        "Once more the {who} are too slow with the hedge, {grumble} I say."),
}  # fmt: skip
TOXIC_WEIGHTS = (0.55, 0.15, 0.12, 0.08, 0.10)
MILD = (
    "Honestly, that is {grumble}.",
    "The plan for the {thing} is {grumble}.",
    "More {grumble} from the {group}.",
    "Is it only me, or is this article a soggy turnip?",
)
# The words of the toxic sentences in kind sentences, so that a model must read the context.
KIND = (
    "Nobody here is a {insult}.",
    "I would never {prank}, of course.",
    "My grandmother painted a {insult} and it hangs in {place}.",
    'My son\'s picture book is called "The {insult}".',
    "Please do not call each other {insult}, it helps no one.",
    "The word {obscene} is in my crossword, any ideas?",
)
# (text, share of annotators who find it toxic): texts that CSV readers or tokenizers may misread.
SPECIALS = (
    ("ok", 0.01), ("?", 0.01), (".", 0.01), ("NA", 0.01), ("null", 0.01), ("None", 0.01),
    ("42", 0.01), ("🌻🍞🚂", 0.01), ("😂😂😂", 0.1), ("👩‍🌾", 0.01),
    ("庭のトマトが赤くなりました。", 0.01), ("القطار وصل في موعده اليوم.", 0.01),
    ("В саду расцвели яблони.", 0.01), ("Το ψωμί ήταν ζεστό σήμερα.", 0.01),
    ("Το ψωμί ήταν ζεστό, you silly goose.", 0.7), ("Silly goose!", 0.8), ("fnarg", 0.7),
    ("  two spaces before, three after   ", 0.01), ("Line one.\nLine two.\n\nLine four.", 0.01),
    ('She said "the bread is ready", and it was.', 0.01), ('a,b,"c",,', 0.01), ('"', 0.01),
    ("A backslash \\ a tab\tand a comma, all fine.", 0.01), ("cafe\u0301 and café", 0.01),
    ("Bread &amp; butter &lt;b&gt;fresh&lt;/b&gt; &quot;daily&quot; &#39;til six", 0.01),
    ("See https://example.org/allotments?plot=7&view=map for the map.", 0.01),
)  # fmt: skip
