"""Language models as decoding methods see them: one interface, static caches, our forward and any checkpoint."""
