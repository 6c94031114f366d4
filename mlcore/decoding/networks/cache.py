"""Keys and values of what a model has read: static memory, cropped by position, shared by rows of one prompt.

Slot and position are the same thing except inside a tree of drafts, so that cropping is setting a length: what lies
beyond is never attended to and is overwritten by what comes next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mlcore.runtime.errors import LimitError


@dataclass(frozen=True)
class Memory:
    """The size of a cache: what one token leaves behind in a model."""

    layers: int
    heads: int  # of keys and values
    dim: int  # of a head

    def bytes(self, rows: int, capacity: int, dtype: torch.dtype) -> int:
        return 2 * self.layers * rows * self.heads * capacity * self.dim * dtype.itemsize


@dataclass(frozen=True)
class Tree:
    """Drafts that share prefixes, flattened: node ``i`` hangs below ``parents[i]`` (-1: below what the cache holds).

    A parent comes before its children. ``depth`` (n,) counts from 0, ``ancestors`` (n, n) bool holds each node and all
    above it.
    """

    parents: tuple[int, ...]
    depth: Tensor
    ancestors: Tensor

    @classmethod
    def build(cls, parents: Sequence[int], device: torch.device | str = "cpu") -> Tree:
        size = len(parents)
        ancestors = torch.eye(size, dtype=torch.bool)
        depth = [0] * size
        for node, parent in enumerate(parents):
            if parent >= 0:
                ancestors[node] |= ancestors[parent]
                depth[node] = depth[parent] + 1
        return cls(tuple(parents), torch.tensor(depth, device=device), ancestors.to(device))


@dataclass(frozen=True)
class Step:
    """Where one call writes and what it sees: ``positions`` (R, T) or (T,), ``mask`` None or (…, T, extent) bool."""

    positions: Tensor
    mask: Tensor | None
    causal: bool  # every token sees those of this call before it, and there is nothing else
    extent: int  # slots that are looked at
    start: int  # first slot that is written, where it is the same in all rows; else -1
    slots: Tensor | None  # (R, T) otherwise


class Cache:
    """Keys and values (2, layers, rows, heads, capacity, dim); ``lengths[r]`` slots of row ``r`` are valid."""

    def __init__(
        self, memory: Memory, rows: int, capacity: int, dtype: torch.dtype, device: torch.device | str
    ) -> None:
        self.capacity, self.lengths = capacity, [0] * rows
        shape = (2, memory.layers, rows, memory.heads, capacity, memory.dim)
        self.held = torch.zeros(shape, dtype=dtype, device=device)
        self._layers = [(self.held[0, layer], self.held[1, layer]) for layer in range(memory.layers)]
        self._places = torch.arange(capacity, device=device)
        self._rows = torch.arange(rows, device=device).unsqueeze(1)

    @property
    def rows(self) -> int:
        return len(self.lengths)

    def step(self, width: int, tree: Tree | None = None) -> Step:
        """The next ``width`` tokens of every row, or the nodes of ``tree``.

        Raises:
            LimitError: they do not fit into the cache.
        """
        longest = max(self.lengths)
        extent = longest + width
        if extent > self.capacity:
            raise LimitError(
                f"{longest} tokens and {width} more do not fit into {self.capacity}.",
                field="max_tokens",
                remedy="Shorten the prompt, or ask for fewer tokens.",
            )
        even = min(self.lengths) == longest
        if tree is not None and not even:
            raise ValueError("a tree needs rows of equal length")
        if tree is not None:
            prefix = torch.ones(width, longest, dtype=torch.bool, device=tree.ancestors.device)
            seen = torch.cat([prefix, tree.ancestors], dim=1)
            return Step(tree.depth + longest, seen, False, extent, longest, None)
        if even:
            positions = self._places[longest:extent]
            mask = self._places[:extent] <= positions.unsqueeze(1) if width > 1 and longest else None
            return Step(positions, mask, width > 1 and not longest, extent, longest, None)
        starts = torch.tensor(self.lengths, device=self._places.device)
        slots = starts.unsqueeze(1) + self._places[:width]
        mask = (self._places[:extent] <= slots.unsqueeze(-1)).unsqueeze(1)
        return Step(slots, mask, False, extent, -1, slots)

    def write(self, layer: int, keys: Tensor, values: Tensor, step: Step) -> tuple[Tensor, Tensor]:
        """Put keys and values (R, heads, T, dim) into their slots; returns all that the call looks at."""
        held_keys, held_values = self._layers[layer]
        if step.slots is None:
            end = step.start + keys.shape[2]
            held_keys[:, :, step.start : end] = keys
            held_values[:, :, step.start : end] = values
        else:
            held_keys[self._rows, :, step.slots] = keys.transpose(1, 2)
            held_values[self._rows, :, step.slots] = values.transpose(1, 2)
        return held_keys[:, :, : step.extent], held_values[:, :, : step.extent]

    def advance(self, width: int) -> None:
        """All of the last call's ``width`` tokens count."""
        self.lengths = [length + width for length in self.lengths]

    def crop(self, length: int, row: int | None = None) -> None:
        """Only the first ``length`` tokens count, in one row or in all."""
        for each in range(self.rows) if row is None else (row,):
            if length > self.lengths[each]:
                raise ValueError(f"row {each} holds {self.lengths[each]} tokens, not {length}")
            self.lengths[each] = length

    def share(self, winner: int, first: int, rows: slice, length: int) -> None:
        """``rows`` hold what the row ``winner`` holds; they agree on the first ``first`` tokens already."""
        if first < length and rows.stop - rows.start > 1:
            part = self.held[:, :, winner : winner + 1, :, first:length].clone()
            self.held[:, :, rows, :, first:length] = part
        self.lengths[rows] = [length] * (rows.stop - rows.start)

    def keep(self, nodes: Sequence[int], start: int) -> None:
        """Of a tree written at ``start``, only the path ``nodes`` counts, in this order."""
        if list(nodes) != list(range(len(nodes))):
            index = torch.tensor(nodes, device=self.held.device) + start
            self.held[..., start : start + len(nodes), :] = self.held[..., index, :]
        self.lengths = [start + len(nodes)] * self.rows

    def chosen(self, rows: Sequence[int], capacity: int | None = None) -> Cache:
        """A new cache whose rows are copies of ``rows``."""
        longest = max(self.lengths[row] for row in rows)
        new = object.__new__(Cache)
        new.capacity, new.lengths = capacity or self.capacity, [self.lengths[row] for row in rows]
        shape = (*self.held.shape[:2], len(rows), self.held.shape[3], new.capacity, self.held.shape[5])
        new.held = self.held.new_zeros(shape)
        index = torch.tensor(rows, device=self.held.device)
        new.held[..., :longest, :] = self.held[..., :longest, :].index_select(2, index)
        new._layers = [(new.held[0, layer], new.held[1, layer]) for layer in range(shape[1])]
        new._places = torch.arange(new.capacity, device=self.held.device)
        new._rows = torch.arange(len(rows), device=self.held.device).unsqueeze(1)
        return new
