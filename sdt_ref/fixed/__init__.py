"""Fixed point: the formats file, parameters as whole numbers, registers between stages, formats chosen from data."""
