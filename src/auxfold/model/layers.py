"""How deep in a backbone each of its parameters lies."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from auxfold.model.causality import probe_tokens


def layer_depths(backbone: PreTrainedModel) -> dict[str, int] | None:
    """The number of layers above each trainable parameter, by its name in the backbone.

    A parameter of a layer has the layers after it above it. Any other parameter counts as one layer
    below the first layer that depends on it: embeddings have all layers above them, and so do the
    relative positions that every layer reads, whatever they are called; a norm or pooler after the
    last layer has none. The dependence is that of gradients in a probe with a short row.

    Returns:
        None: the backbone has no stack of layers that run one after the other, each with weights of
        its own.
    """
    layers = _find_layers(backbone)
    numbers = {
        name: number
        for number, modules in enumerate(layers)
        for path, module in modules.items()
        for name, _ in module.named_parameters(prefix=path)
    }
    if not layers or _share_weights(layers):
        return None
    calls = _record_calls(backbone, layers)
    order = [number for number, _ in calls]
    if order != sorted(order) or len(set(order)) < len(layers):
        return None
    trainable = {name: p for name, p in backbone.named_parameters() if p.requires_grad}
    outside = {name: p for name, p in trainable.items() if name not in numbers}
    first_readers = _first_readers(dict(calls), outside)
    return {
        name: len(layers) - (numbers[name] + 1 if name in numbers else first_readers[name])
        for name in trainable
    }


def _find_layers(backbone: PreTrainedModel) -> list[dict[str, nn.Module]]:
    """The modules of each layer, by their names in the backbone.

    Layers are the items of the outermost lists of modules that have as many as the configuration
    says. Most architectures have one such list, XLM has several.
    """
    n_layers = getattr(backbone.config, "num_hidden_layers", 0)
    lists = {
        name: module
        for name, module in backbone.named_modules()
        if isinstance(module, nn.ModuleList) and len(module) == n_layers
    }
    outermost = {
        name: modules
        for name, modules in lists.items()
        if not any(name.startswith(f"{other}.") for other in lists)
    }
    if not outermost:
        return []
    return [
        {f"{name}.{number}": modules[number] for name, modules in outermost.items()}
        for number in range(n_layers)
    ]


def _share_weights(layers: list[dict[str, nn.Module]]) -> bool:
    """Whether a parameter is in several layers."""
    ids = [
        {id(p) for module in modules.values() for p in module.parameters()} for modules in layers
    ]
    return len(set().union(*ids)) < sum(map(len, ids))


def _record_calls(
    backbone: PreTrainedModel, layers: list[dict[str, nn.Module]]
) -> list[tuple[int, torch.Tensor]]:
    """The number of a layer and what it returned, for every call in a pass over a short row."""
    calls: list[tuple[int, torch.Tensor]] = []

    def hook_of(number: int) -> Any:
        def record(_: nn.Module, __: Any, output: Any) -> None:
            calls.append((number, output if isinstance(output, torch.Tensor) else output[0]))

        return record

    handles = [
        module.register_forward_hook(hook_of(number))
        for number, modules in enumerate(layers)
        for module in modules.values()
    ]
    was_training = backbone.training
    ids = probe_tokens(backbone)
    try:
        with torch.enable_grad():
            backbone.eval()(input_ids=ids, attention_mask=torch.ones_like(ids))
    finally:
        backbone.train(was_training)
        for handle in handles:
            handle.remove()
    return calls


def _first_readers(
    outputs: dict[int, torch.Tensor], parameters: dict[str, nn.Parameter]
) -> dict[str, int]:
    """The number of the first layer that depends on a parameter, or the number of layers."""
    n_layers = len(outputs)
    readers = dict.fromkeys(parameters, n_layers)
    # The last layer first: what it does not depend on, none does.
    remaining = _dependencies(outputs[n_layers - 1], parameters)
    for number in range(n_layers):
        readers |= dict.fromkeys(_dependencies(outputs[number], remaining), number)
        remaining = {name: p for name, p in remaining.items() if readers[name] == n_layers}
    return readers


def _dependencies(
    output: torch.Tensor, parameters: dict[str, nn.Parameter]
) -> dict[str, nn.Parameter]:
    """The parameters that an output depends on."""
    if not parameters or not output.requires_grad:
        return {}
    gradients = torch.autograd.grad(
        output.float().sum(), list(parameters.values()), retain_graph=True, allow_unused=True
    )
    return {
        name: parameter
        for (name, parameter), gradient in zip(parameters.items(), gradients, strict=True)
        if gradient is not None
    }
