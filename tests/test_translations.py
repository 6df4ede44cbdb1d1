"""German is complete: each text has its words, with the same placeholders and commands, in both files."""

import re

import pytest
from django.utils import translation

from accounts import advice
from pipeline.pages.headlines import headline
from tests import catalogue

TEXTS = catalogue.texts(catalogue.translated())
PAIRS = [
    pair
    for english, german in TEXTS.items()
    for pair in (zip(english, german, strict=True) if isinstance(english, tuple) else [(english, german)])
]
AS_IT_IS = re.compile(r"manage\.py \w+|--[a-z-]+|https?://\S+|[A-Z]+_[A-Z]+|\b\d+\b")
# What a page shows as it is in every language.
NO_WORDS = {"mailhelper", "s", "h"}


def test_every_text_of_code_and_templates_has_its_german_words():
    assert catalogue.texts(catalogue.wanted()).keys() == TEXTS.keys()
    assert all(german.strip() for _, german in PAIRS)


def test_no_translation_is_fuzzy_or_obsolete():
    found = catalogue.translated()
    assert not found.obsolete and not [message.id for message in found if message.fuzzy]


def test_a_translation_has_the_placeholders_of_its_text():
    names = catalogue.placeholders
    assert not [english for english, german in PAIRS if names(english) != names(german)]


def test_a_translation_keeps_commands_options_addresses_and_numbers():
    kept = [(english, german.replace("1.024", "1,024")) for english, german in PAIRS]
    assert not [one for one, other in kept if set(AS_IT_IS.findall(one)) != set(AS_IT_IS.findall(other))]


def test_a_translation_ends_as_its_text_does_and_has_german_quotes():
    assert not [english for english, german in PAIRS if (english[-1] in ".:") != (german[-1] in ".:")]
    assert not [german for _, german in PAIRS if '"' in german or german.count("„") != german.count("“")]
    assert not [german for _, german in PAIRS if german != " ".join(german.split())]


def test_the_compiled_file_is_made_of_the_other():
    assert catalogue.COMPILED.read_bytes() == catalogue.compiled()


def test_what_is_read_from_a_template_is_what_the_page_asks_for():
    found = catalogue.texts(catalogue.wanted())
    assert "The signing key of %(label)s" in found
    assert "Needs attention" in found


TEMPLATES = sorted((catalogue.ROOT / "templates").rglob("*.html"))
TRANSLATED = re.compile(
    r"{% blocktranslate.*?{% endblocktranslate %}|{%.*?%}|{{.*?}}|<(code|svg)\b.*?</\1>", re.S
)
READ_ALOUD = re.compile(r'(?:aria-label|alt|placeholder)="([^"]*)"')


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_template_has_words_of_one_language_only(path):
    markup = TRANSLATED.sub(" ", path.read_text())
    shown = re.sub(r"<[^>]*>", " ", markup) + " ".join(READ_ALOUD.findall(markup))
    assert set(re.findall(r"[^\W\d_]+", shown)) <= NO_WORDS


def test_advice_speaks_the_language_that_is_active_and_english_without_one():
    told = {}
    for language in ("de", "en"):
        with translation.override(language):
            told[language] = advice.advise("timeout").sentence
    assert told == {
        "de": "Der Server hat zu lange nicht geantwortet.",
        "en": "The server took too long to answer.",
    }
    assert advice.advise("timeout").sentence == told["en"]


@pytest.mark.parametrize(
    ("behind", "told"),
    [
        (0, "All 3 accounts are in sync"),
        (1, "2 of 3 accounts are in sync"),
        (3, "No account is in sync"),
    ],
)
def test_the_headline_calls_no_account_in_sync_that_is_not(behind, told):
    assert headline(["healthy"] * 3, 0, 0, behind) == told


@pytest.mark.parametrize(
    ("states", "needy", "pending", "german", "english"),
    [
        ([], 0, 0, "Noch kein Postfach", "No account yet"),
        (["syncing", "ok"], 0, 0, "Abgleich läuft …", "Syncing…"),
        (
            ["syncing", "failed"],
            1,
            0,
            "Eines von 2 Postfächern braucht Ihre Hilfe",
            "One of 2 accounts needs you",
        ),
        (["failed"], 1, 0, "Ihr Postfach braucht Ihre Hilfe", "Your account needs you"),
        (["failed", "ok"], 1, 0, "Eines von 2 Postfächern braucht Ihre Hilfe", "One of 2 accounts needs you"),
        (["failed"] * 2, 2, 0, "Alle 2 Postfächer brauchen Ihre Hilfe", "All 2 accounts need you"),
        (
            ["failed"] * 2 + ["ok"],
            2,
            9,
            "2 von 3 Postfächern brauchen Ihre Hilfe",
            "2 of 3 accounts need you",
        ),
        (["new", "ok"], 0, 0, "Eines von 2 Postfächern ist neu", "One of 2 accounts is new"),
        (["ok"], 0, 1, "1 Mail ist noch abzurufen", "1 mail is still to fetch"),
        (["ok"], 0, 1200, "1.200 Mails sind noch abzurufen", "1,200 mails are still to fetch"),
        (["ok"] * 2, 0, 0, "Alle 2 Postfächer sind auf dem aktuellen Stand", "All 2 accounts are in sync"),
    ],
)
def test_the_headline_counts_in_both_languages(states, needy, pending, german, english):
    for language, told in (("de", german), ("en", english)):
        with translation.override(language):
            assert headline(states, needy, pending) == told
