"""What the catalogue says, held against what is expected of it, by great-expectations."""
