"""The notebook that is bundled: the repository's, from wherever the command is called."""

from __future__ import annotations

from pathlib import Path

import pytest

from auxfold.cli import bundle_kaggle
from auxfold.cli.bundle_kaggle import default_title, find_notebook
from auxfold.errors import InputError


def test_the_notebook_is_that_of_the_checkout_or_the_one_asked_for(tmp_path, monkeypatch):
    root = Path(__file__).parents[2]
    monkeypatch.chdir(root)
    assert find_notebook(None) == Path("notebooks/kaggle_inference.ipynb")
    monkeypatch.chdir(tmp_path)
    assert find_notebook(None) == root / "notebooks/kaggle_inference.ipynb"
    Path("mine.ipynb").write_text("{}")
    assert find_notebook("mine.ipynb") == Path("mine.ipynb")
    with pytest.raises(InputError, match="^no notebook other.ipynb$"):
        find_notebook("other.ipynb")
    monkeypatch.setattr(bundle_kaggle, "CHECKOUT", tmp_path)  # as in an installed package
    with pytest.raises(InputError, match="no notebook notebooks/kaggle_inference.ipynb; give"):
        find_notebook(None)


def test_the_title_is_made_from_the_name():
    assert default_title("jigsaw_2019") == "auxfold jigsaw 2019"
