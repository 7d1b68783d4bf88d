"""Adapters: a few parameters in a frozen backbone learn, together with the heads.

``injection`` adds, stores and merges them. LoRA, DoRA and IA3 come from peft, while ``bottleneck``
and ``prefix`` are modules of this package.
"""
