"""Imported once by the process that the commands of tests are forked from: see ``forked``."""

from importlib import import_module

from auxfold.report.plot import Panel

# Not wandb, which creates a temporary folder that the first fork would remove for the others.
for name in (
    "auxfold.training.fold",
    "auxfold.inference.ensemble",
    "auxfold.report.page",
    "pyarrow.dataset",
    "sklearn.feature_extraction.text",
    "sklearn.linear_model",
    "transformers.models.bert.modeling_bert",
):
    import_module(name)

# The first plot reads the fonts and builds the parser of formulas.
with Panel() as panel:
    panel.axes.semilogy([1, 10], [1, 10], label="$a$")
    panel.axes.legend()
