"""What sparsity-constrained transport is made of: projections, smoothed columns, Newton steps, rounding."""
