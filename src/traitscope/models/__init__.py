"""The zoo; one file per model."""
