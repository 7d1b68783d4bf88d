"""Rules, and sentences that break them or do not, of the generated competition with rules."""

from __future__ import annotations

from typing import NamedTuple

from auxfold.datasets.sample_words import WORDS


class Rule(NamedTuple):
    """A rule of a community.

    Attributes:
        text: the rule, as a row of the competition has it.
        breaking: sentences that break it.
        allowed: sentences on the same subject that do not.
    """

    text: str
    breaking: tuple[str, ...]
    allowed: tuple[str, ...]


PHRASES = {
    "shop": "Turnip Traders|Kettle & Crumb|Rain Barrel Depot|the Hedge House|Loaf Street Market",
    "goods": "seed trays|rye starters|watering cans|wool hats|spare bicycle bells|jam jars",
    "reward": "a free spoon|ten percent off|two jars for one|a bonus voucher|free delivery",
    "neighbor": "my neighbor|the landlord|the allotment keeper|my former baker|the choir",
    "quarrel": "the fence|the deposit|the broken gate|the late invoice|the borrowed ladder",
    "filing": "file a claim|sign nothing|write a formal objection|keep the deposit|demand damages",
    "story": "The Turnip Papers|Night Ferry to Lund|The Last Loaf|Bees in Winter|Platform Two",
    "hero": "the baker|the stationmaster|the beekeeper|the twin sister|the lighthouse keeper",
    "fate": "did it all along|never boarded the ferry|was asleep in the shed|returns at the end",
    "ailment": "a stiff knee|a runny nose|a sore thumb|hiccups|an itchy elbow",
    "remedy": "nettle tea|two spoons of honey|a cold cloth|beetroot juice|a week of rest",
    "price": "twenty dollars|forty dollars or a swap|half of the new price|the best offer",
}
RULE_WORDS = {**WORDS, **{name: phrases.split("|") for name, phrases in PHRASES.items()}}

# Training files have rows of these rules.
TRAIN_RULES = (
    Rule(
        "No advertising: do not promote shops, products or offers.",
        (
            "Get your {goods} at {shop} today and receive {reward}!",
            "{shop} has the best {goods}; use my code TURNIP{n} for {reward}.",
            "Sign up with my link and {shop} gives you {reward}.",
            "My store sells {goods}, {reward} this week only.",
        ),
        (
            "I bought {goods} years ago and they still look {quality}.",
            "Are {goods} worth it, or is there something better?",
            "The advertisement for {shop} in the paper was {quality}.",
        ),
    ),
    Rule(
        "No legal advice: do not give or ask for legal advice.",
        (
            "You should {filing} against {neighbor}; the law is on your side about {quarrel}.",
            "Can I sue {neighbor} over {quarrel}?",
            "Legally, {neighbor} has to pay for {quarrel}, so {filing}.",
            "What does the law say about {quarrel}, and should I {filing}?",
        ),
        (
            "I talked with {neighbor} about {quarrel} and we shook hands.",
            "The council passed a law about {place}, says the paper.",
            "{neighbor} studies law and likes the {thing}.",
        ),
    ),
)
# The test file has rows of these rules, too.
TEST_RULES = (
    Rule(
        "No spoilers: do not reveal how a story ends.",
        (
            "At the end of {story}, {hero} {fate}.",
            "I cannot believe that {hero} {fate} in the last chapter of {story}!",
            "Spare yourself {story}: {hero} {fate}.",
        ),
        (
            "I am halfway through {story} and it is {quality}.",
            "Is {story} longer than the film?",
            "Please nobody tell me what happens in {story}.",
        ),
    ),
    Rule(
        "No medical advice: do not recommend treatments.",
        (
            "Against {ailment} you should take {remedy} twice a day.",
            "Stop seeing the doctor; {remedy} cures {ailment}.",
            "What should I take for {ailment}, is {remedy} enough?",
        ),
        (
            "I have {ailment} today, so no gardening for me.",
            "My aunt drinks {remedy} because she likes the taste.",
            "The doctor moved to {place}.",
        ),
    ),
    Rule(
        "No trading: do not offer, sell or look for goods.",
        (
            "For sale: {goods}, {price}, pick up at {place}.",
            "Looking for {goods}, I pay {price}.",
            "I trade my {thing} for {goods}, message me.",
        ),
        (
            "I would never sell my {thing}.",
            "{goods} were cheaper when I was young.",
            "The flea market at {place} was {quality}.",
        ),
    ),
    Rule(
        "Be kind: do not insult other members.",
        (
            "You {insult}.",
            "Only a {insult} would write this about the {thing}.",
            "What a {insult} you are!",
        ),
        (
            "Nobody here is a {insult}.",
            "My grandmother painted a {insult} and it hangs in {place}.",
            "I disagree with you about the {thing}, kindly.",
        ),
    ),
)
COMMUNITIES = ("allotments", "railways", "homebaking", "bookcorner", "repaircafe", "askthecouncil")
