"""Text-to-molecule retrieval after ORMA (Min et al., BIBM 2024, arXiv 2411.11875) in its corrected form."""
