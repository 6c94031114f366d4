"""Decoding towards a reward: Transfer Q* and its rivals."""
