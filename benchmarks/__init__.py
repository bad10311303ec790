"""How fast translab is, always as a ratio to a yardstick measured alternately in the same process."""
