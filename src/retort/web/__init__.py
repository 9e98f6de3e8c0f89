"""The playground: one page for people, in front of the same predictions (Flask)."""
