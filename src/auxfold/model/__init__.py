"""The network: one backbone, one pooling, one head per task.

``backbone`` builds a model from an experiment. ``multitask`` is the model itself and ``config``
what is stored with it. ``loading``, ``numbered_heads`` and ``reference`` load checkpoints that are
not simply a whole model. ``adapters`` trains a few parameters in a frozen backbone, which several
models have in common by ``shared_backbones``.
"""
