"""How fast the library is, next to what else a user could have written; see ``docs/benchmarks``."""
