"""HTTP in front of the engine (Flask)."""
