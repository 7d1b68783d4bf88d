"""How the rows of an optimizer step are cut into micro-batches, by a budget of tokens."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from auxfold.data.batches import halve_largest, split_by_packed_tokens, split_by_tokens
from auxfold.data.dataset import TokenizedDataset
from auxfold.errors import InputError


@dataclass
class MicroBatchSplitter:
    """Cuts the rows of a step into micro-batches.

    Attributes:
        dataset: the tokens of the table's rows.
        max_tokens: the most tokens of a micro-batch; halved when the GPU runs out of memory.
        padding_free: whether tokens are packed, so that padding does not count.
        process: the number of this process.
        n_processes: the number of processes, among which the rows of a step are divided.
        reduced_to: ``max_tokens``, where a lack of memory has reduced it; else None.
        notice: what a person should know of the latest lack of memory, until it is shown.
    """

    dataset: TokenizedDataset
    max_tokens: int
    padding_free: bool = False
    process: int = 0
    n_processes: int = 1
    reduced_to: int | None = None
    notice: str | None = None

    def split(self, indices: np.ndarray, process: int | None = None) -> list[np.ndarray]:
        """The rows of a step that a process (by default this one) has, cut by the token budget."""
        process = self.process if process is None else process
        share = indices[process :: self.n_processes]
        if len(share) == 0:
            # More processes than rows: this one joins the gradient exchange with a muted loss.
            return [indices[:1]]
        split = split_by_packed_tokens if self.padding_free else split_by_tokens
        return split(share, self.dataset.lengths(), self.max_tokens)

    def cuts(self, indices: np.ndarray) -> bool:
        """Whether some process has several micro-batches of a step.

        All processes must agree: they exchange numbers in the same order.
        """
        return any(len(self.split(indices, process)) > 1 for process in range(self.n_processes))

    def halve(self, indices: np.ndarray) -> None:
        """Halve the largest micro-batch of a step that ran out of memory, and all that follow.

        Raises:
            InputError: there is nothing left to halve, or other processes wait for this one.
        """
        lengths = self.dataset.lengths()
        max_tokens = halve_largest(self.split(indices), lengths, self.padding_free)
        if max_tokens is None:
            longest = int(lengths[indices].max())
            raise InputError(
                f"the GPU has too little memory for a micro-batch of a single row of {longest} "
                f"tokens; lower model.max_length, take a smaller backbone or an adapter, or free "
                f"the GPU (the last saved state is kept)"
            )
        if self.n_processes > 1:
            # The others may be in the middle of exchanging gradients, which cannot be repeated.
            raise InputError(
                f"process {self.process} of {self.n_processes} ran out of GPU memory, and "
                f"all stop; give --resume and --set train.max_tokens_per_batch={max_tokens} (the "
                f"last saved state is kept)"
            )
        self.limit(max_tokens)
        self.notice = (
            f"the GPU ran out of memory: this step is repeated, and all others follow, with at "
            f"most {max_tokens} tokens in a micro-batch (train.max_tokens_per_batch)"
        )

    def limit(self, max_tokens: int | None) -> None:
        """Remember the size that fits into the memory; None: it is not known."""
        if max_tokens is not None:
            self.max_tokens = min(self.max_tokens, max_tokens)
            self.reduced_to = max_tokens
