"""A manifest that is broken, or names what is not in the bundle, is refused in one line."""

from __future__ import annotations

import json

import pytest

from auxfold.errors import InputError
from auxfold.kaggle.kernel import check_bundle
from auxfold.kaggle.manifest import read_manifest, sha256
from auxfold.kaggle.versions import check_versions
from manifests import MANIFEST, write_manifest

DIGEST = "0" * 64


def test_a_complete_manifest_is_read(tmp_path):
    write_manifest(tmp_path)
    assert read_manifest(tmp_path) == MANIFEST


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\x00\xff"])
def test_what_is_no_manifest_is_refused(tmp_path, text):
    path = tmp_path / "auxfold_manifest.json"
    path.write_bytes(text.encode("latin-1"))
    for read in (read_manifest, check_bundle, check_versions):
        with pytest.raises(InputError, match=f"^{path} is damaged .*upload the dataset again$"):
            read(tmp_path)
    path.unlink()
    with pytest.raises(InputError, match=f"^no {path}; attach the dataset"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    "key", [key for key in MANIFEST if key not in ("auxfold", "sample_columns", "backbone")]
)
def test_a_missing_key_is_named(tmp_path, key):
    path = write_manifest(tmp_path)
    path.write_text(json.dumps({name: v for name, v in MANIFEST.items() if name != key}))
    with pytest.raises(InputError, match=f"'{key}' is missing or of another type"):
        read_manifest(tmp_path)
    write_manifest(tmp_path, **{key: 7})
    with pytest.raises(InputError, match=f"'{key}' is missing or of another type"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    "name", ["../secret", "fold_0/../../secret", "/etc/passwd", "C:secret", "..\\secret", "a\0b"]
)
def test_a_path_that_leaves_the_bundle_is_refused(tmp_path, name):
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    (tmp_path / "secret").write_text("s")
    write_manifest(bundle, files=MANIFEST["files"] | {name: DIGEST})
    with pytest.raises(InputError, match="which is no path within the bundle"):
        check_bundle(bundle)
    write_manifest(bundle, runs={name: ["fold_0"]}, folds=[f"{name}/fold_0"])
    with pytest.raises(InputError, match="which is no path within the bundle"):
        check_bundle(bundle)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"folds": ["fold_1"]}, "'fold_1' is a fold of no run"),
        ({"folds": []}, "it names no fold"),
        ({"runs": {".": []}}, "the run '.' has no folds"),
        ({"runs": {".": "fold_0"}}, "the run '.' has no folds"),
        ({"files": {}}, "no file of 'fold_0' is listed"),
        ({"sample_columns": 1}, "'sample_columns' is of another type"),
        ({"backbone": ["a"]}, "'backbone' is of another type"),
    ],
)
def test_folds_and_files_have_to_fit_together(tmp_path, changes, expected):
    write_manifest(tmp_path, **changes)
    with pytest.raises(InputError, match=expected):
        read_manifest(tmp_path)


def test_links_out_and_files_that_are_not_listed_are_refused(tmp_path):
    bundle = tmp_path / "bundle"
    (bundle / "fold_0").mkdir(parents=True)
    secret, config = tmp_path / "secret", bundle / "fold_0/config.json"
    secret.write_text("{}")
    config.symlink_to(secret)
    write_manifest(bundle, files={"fold_0/config.json": sha256(secret)})
    with pytest.raises(InputError, match="config.json is a link out of the bundle"):
        check_bundle(bundle)
    config.unlink()
    config.write_text("{}")
    for cached in ("src/__pycache__/a.pyc", "dataset-metadata.json"):
        (bundle / cached).parent.mkdir(parents=True, exist_ok=True)
        (bundle / cached).write_text("")
    (bundle / "fold_0/extra.py").write_text("")
    with pytest.raises(InputError, match="fold_0/extra.py is not a file of the bundle"):
        check_bundle(bundle)
    (bundle / "fold_0/extra.py").unlink()
    (bundle / "more").symlink_to(tmp_path)
    with pytest.raises(InputError, match="bundle/more is not a file of the bundle"):
        check_bundle(bundle)
