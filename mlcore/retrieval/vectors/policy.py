"""Which kind of index a number of rows gets, and how hard it searches."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class IndexPolicy:
    """From how many rows on each approximate kind of index is used, and how hard it searches.

    ========================  ============  =======================================
    rows                      kind          search
    ========================  ============  =======================================
    fewer than 50,000         ``Flat``      exact
    50,000 to 5 million       ``HNSW32``    approximate, graph in memory
    5 million and more        ``IVF<n>``    approximate, inverted lists
    ========================  ============  =======================================
    """

    hnsw_from: int = 50_000
    ivf_from: int = 5_000_000
    ef_construction: int = 120
    ef_search: int = 160
    probes: int = 64

    def kind(self, rows: int) -> str:
        """The kind of index for ``rows`` rows, as a FAISS factory string."""
        if rows < self.hnsw_from:
            return "Flat"
        if rows < self.ivf_from:
            return "HNSW32"
        return f"IVF{self.lists(rows)}"

    def lists(self, rows: int) -> int:
        """Inverted lists for ``rows`` rows: four times their root, with at least 39 rows to train each on."""
        return max(1, min(int(4 * rows**0.5), rows // 39))
