"""How fast the event engine is, beside dense engines on the same cores, weights and photos: python -m benchmarks."""
