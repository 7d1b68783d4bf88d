"""An experiment written as TOML is read back as it was."""

from __future__ import annotations

import tomllib

import hypothesis
from hypothesis import strategies as st

from auxfold.config.experiment import experiment_from_dict, to_toml
from conftest import make_experiment

TEXTS = st.text(st.characters(codec="utf-8"), min_size=1)
ADAPTERS = st.one_of(
    st.none(),
    st.fixed_dictionaries(
        {"kind": st.sampled_from(["lora", "dora"])},
        optional={"rank": st.integers(1, 99), "alpha": st.floats(1e-3, 1e3),
                  "target_modules": st.lists(TEXTS)},
    ),
    st.fixed_dictionaries({"kind": st.just("ia3")}, optional={"target_modules": st.lists(TEXTS)}),
    st.fixed_dictionaries({"kind": st.just("prefix")}, optional={"prefix_length": st.just(3)}),
    st.fixed_dictionaries(
        {"kind": st.sampled_from(["pfeiffer", "houlsby"])},
        optional={"reduction_factor": st.integers(1, 99), "activation": st.just("gelu")},
    ),
)  # fmt: skip


@hypothesis.settings(max_examples=60, deadline=None)
@hypothesis.given(text=TEXTS, rate=st.floats(1e-9, 1e3), adapter=ADAPTERS)
def test_written_back_any_value_is_read_as_it_was(text, rate, adapter):
    experiment = make_experiment(
        text, text, data={"train": text, "text": [text, "b"]}, train={"learning_rate": rate},
        model={"adapter": adapter},
    )  # fmt: skip
    again = experiment_from_dict(tomllib.loads(to_toml(experiment)), "again")
    assert again == experiment and again.fingerprint() == experiment.fingerprint()


@hypothesis.settings(max_examples=60, deadline=None)
@hypothesis.given(
    paths=st.lists(TEXTS, min_size=1, max_size=3),
    rename=st.dictionaries(TEXTS, TEXTS, max_size=3),
    named=st.booleans(),
)
def test_sources_written_back_are_read_as_they_were(paths, rename, named):
    rename = dict(zip(rename, dict.fromkeys(rename.values()), strict=False))  # no name twice
    several = len(paths) > 1 or named
    train = [
        {"path": path, "rename": rename} | ({"name": f"s{number}"} if several else {})
        for number, path in enumerate(paths)
    ]
    experiment = make_experiment("", "b", data={"train": train})
    again = experiment_from_dict(tomllib.loads(to_toml(experiment)), "again")
    assert again == experiment and again.fingerprint() == experiment.fingerprint()
