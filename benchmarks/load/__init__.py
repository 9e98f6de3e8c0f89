"""What the serving benchmarks share: texts, clients, and servers that come and go."""
