"""What auxfold leaves on disk: the only code that knows the names of files.

:mod:`~auxfold.storage.run_folder` has the paths, :mod:`~auxfold.storage.folds` the file of folds,
:mod:`~auxfold.storage.working` the folder of a fold while it is trained and
:mod:`~auxfold.storage.trained` the checks of trained folds. Files are written whole or not at all
(:mod:`~auxfold.storage.atomic`). Records carry a schema number, by which a folder of another
version is refused (:mod:`~auxfold.storage.records`).
"""
