"""What a tokenizer makes of texts, and what is said about its language."""

from __future__ import annotations

import pytest

from auxfold.config import Data, Model
from auxfold.evaluation.token_statistics import measure_tokens
from auxfold.model.tokenizer import load_tokenizer
from conftest import make_tokenizer

SENTENCES = {
    "english": "The delivery arrived two days late and nobody answered my calls. I would still "
    "buy it again, because the quality is really good.",
    "german": "Die Lieferung kam zwei Tage zu spät und niemand hat meine Anrufe beantwortet. "
    "Ich würde es trotzdem wieder kaufen, weil die Qualität wirklich gut ist.",
    "spanish": "La entrega llegó dos días tarde y nadie contestó mis llamadas. Aun así lo "
    "volvería a comprar porque la calidad es realmente buena.",
    "russian": "Доставка опоздала на два дня, и никто не ответил на мои звонки.",
    "chinese": "快递晚了两天才到，而且没有人接我的电话。不过质量真的很好，下次还会再买。",
    "japanese": "配達は二日遅れで、誰も電話に出ませんでした。それでも品質が本当に良いです。",
    "thai": "การจัดส่งมาช้าไปสองวันและไม่มีใครรับโทรศัพท์ของฉัน",
}
MULTILINGUAL = (
    '; choose a multilingual one, such as "microsoft/mdeberta-v3-base" or, on a CPU, '
    '"intfloat/multilingual-e5-small"'
)


@pytest.fixture(scope="module")
def embedded():
    return load_tokenizer(Model(backbone="embedded"))


def test_tokens_are_counted_exactly():
    texts = ["the bread was good", "zzz goose", "rain"]  # 4, 2 and 1 tokens, with 2 special ones
    statistics = measure_tokens([texts], make_tokenizer(), Model(backbone="tiny", max_length=4))
    assert statistics.mean == pytest.approx((6 + 4 + 3) / 3)
    assert statistics.quantiles["100"] == 6 and statistics.cut == pytest.approx(1 / 3)
    assert statistics.unknown == pytest.approx(1 / 7)
    assert statistics.per_character == pytest.approx(7 / (18 + 9 + 4))
    assert statistics.per_word == 1.0 and statistics.per_unspaced_character is None
    assert sum(statistics.bin_counts) == 3 and statistics.bin_edges[-1] == 6
    assert not statistics.is_multilingual
    unknown, cut = statistics.warnings()
    assert unknown.startswith("model.backbone = 'tiny' does not know 14.3% of the tokens")
    assert cut.startswith("33.3% of the rows are longer than model.max_length = 4 tokens")


def test_a_template_is_counted_as_it_is_read():
    data = Data(train="t", template="the {rule} was {text}", fields={"rule": 1})
    columns = [["silly goose", ""], ["rain bread", "soup"]]
    windows = Model(backbone="tiny", max_length=6, truncation="windows")
    statistics = measure_tokens(columns, make_tokenizer(), windows, data)
    assert statistics.mean == (7 + 5) / 2 and statistics.cut == 0.5
    assert statistics.in_windows and statistics.warnings() == []
    cut = measure_tokens(columns, make_tokenizer(), Model(backbone="tiny", max_length=6), data)
    (warning,) = cut.warnings()
    assert warning.endswith('set model.truncation = "head_tail" or "windows"')


@pytest.mark.parametrize(
    ("language", "symptom"),
    [
        ("english", ""),
        ("german", "breaks a word into 2.0 pieces on average"),
        ("spanish", "breaks a word into 1.8 pieces on average"),
        ("russian", "breaks a word into"),
        ("chinese", "does not know"),
        ("japanese", "does not know"),
        ("thai", "does not know 100.0% of the tokens"),
    ],
)
def test_an_english_backbone_says_so_on_other_languages(embedded, language, symptom):
    statistics = measure_tokens([[SENTENCES[language]]], embedded, Model(max_length=128))
    warning = statistics.language_warning()
    assert warning.startswith(f"model.backbone = 'embedded' {symptom}" if symptom else "")
    assert warning.endswith(MULTILINGUAL if symptom else "") and bool(warning) == bool(symptom)
