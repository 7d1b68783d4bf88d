"""A forward pass over packed tokens, without padding, with the parameters of the backbone.

``build`` chooses the encoder of an architecture, or says that there is none: then the module of
Hugging Face itself runs. ``encoder`` is what the encoders share, and each family has its module.
``linear`` fuses linear layers that read the same input, ``attention`` attends within each row,
``regions`` holds the elementwise operations, which can be compiled, and ``pooling`` makes one
vector per row.
"""
