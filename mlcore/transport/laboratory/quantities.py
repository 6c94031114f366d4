"""The numbers of an answer: what each is called, its unit, and the formula that it comes from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Quantity:
    """One number. ``unit`` is "cost" for the unit of the ground cost, "length" for that of the coordinates."""

    label: str
    unit: str
    formula: str


QUANTITIES: dict[str, Quantity] = {
    "cost": Quantity("transport cost", "cost", "⟨P, C⟩ = Σᵢⱼ Pᵢⱼ Cᵢⱼ"),
    "primal": Quantity(
        "primal value", "cost", "The cost plus the regularisation: what the solver minimises."
    ),
    "dual": Quantity(
        "dual value",
        "cost",
        "The dual objective at the potentials (f, g); no plan has a primal value below it.",
    ),
    "gap": Quantity(
        "duality gap",
        "cost",
        "primal − dual. Zero proves the optimum. It can be a little negative while the plan misses its marginals.",
    ),
    "relaxation_gap": Quantity(
        "dual value, at most below",
        "cost",
        "How far the dual value may lie below the optimum of the relaxation, in which k links may be mixed.",
    ),
    "entropic": Quantity("entropic cost", "cost", "⟨P, C⟩ − ε H(P), with H(P) = −Σ Pᵢⱼ log Pᵢⱼ"),
    "divergence": Quantity(
        "Sinkhorn divergence",
        "cost",
        "S(x, y) = OT(x, y) − OT(x, x)/2 − OT(y, y)/2, with OT the primal value: free of the entropic bias, "
        "0 for equal clouds.",
    ),
    "row_error": Quantity(
        "row error", "mass", "Σᵢ |Σⱼ Pᵢⱼ − aᵢ|, the L1 distance of the row sums from the source"
    ),
    "column_error": Quantity(
        "column error", "mass", "Σⱼ |Σᵢ Pᵢⱼ − bⱼ|, the L1 distance of the column sums from the target"
    ),
    "tolerance": Quantity(
        "tolerance",
        "mass",
        "The larger error, as a share of the mass, must not exceed it for the status 'converged'.",
    ),
    "iterations": Quantity(
        "iterations", "", "Those of all stages together; the network simplex does not count its pivots."
    ),
    "seconds": Quantity(
        "time of the solver", "s", "Wall clock, the cost matrix not included, measured in this run."
    ),
    "epsilon": Quantity(
        "ε, absolute", "cost", "ε as given times the statistic of the costs that it is a share of"
    ),
    "epsilon_of_mean": Quantity("ε / mean cost", "", "absolute ε divided by the mean of the costs"),
    "gamma": Quantity(
        "γ, absolute", "cost / mass", "γ as given times the statistic of the costs that it is a share of"
    ),
    "beta": Quantity(
        "β, absolute", "cost", "β as given times the statistic of the costs that it is a share of"
    ),
    "rho_a": Quantity("ρ₁, absolute", "cost", "ρ as given times the statistic of the costs"),
    "rho_b": Quantity("ρ₂, absolute", "cost", "ρ as given times the statistic of the costs"),
    "mass": Quantity("mass of the plan", "mass", "Σᵢⱼ Pᵢⱼ"),
    "row_penalty": Quantity("penalty of the source", "cost", "ρ₁ KL(P1 | a)"),
    "column_penalty": Quantity("penalty of the target", "cost", "ρ₂ KL(Pᵀ1 | b)"),
    "nonzeros": Quantity("links", "", "entries of the plan above 10⁻⁹ of the mass"),
    "links_row": Quantity("links of a source", "", "links of the source point that has the most"),
    "links_column": Quantity("links of a target", "", "links of the target point that has the most"),
    "density": Quantity("density", "", "links / (n m)"),
    "entropy": Quantity("entropy of the plan", "nats", "H(P) = −Σ Pᵢⱼ log Pᵢⱼ, the plan scaled to mass 1"),
    "fan_out": Quantity(
        "targets a source",
        "",
        "exp(H(P) − H(P1)): among how many targets a source point divides its mass; 1 is a map",
    ),
    "blur": Quantity(
        "blur",
        "length",
        "√ Σᵢⱼ Pᵢⱼ |yⱼ − T(xᵢ)|², with T(xᵢ) the barycentre of row i: how wide a source point's mass is spread",
    ),
}
#: with mass that may stay behind, the errors are measured from what the potentials ask for
UNBALANCED_FORMULAS = {
    "row_error": "Σᵢ |Σⱼ Pᵢⱼ − aᵢ exp(−fᵢ/ρ₁)|, the L1 distance of the row sums from what f and g ask for",
    "column_error": "Σⱼ |Σᵢ Pᵢⱼ − bⱼ exp(−gⱼ/ρ₂)|, the L1 distance of the column sums from what f and g ask for",
}
