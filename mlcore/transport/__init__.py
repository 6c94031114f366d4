"""Optimal transport: torch tensors in, torch tensors out."""
