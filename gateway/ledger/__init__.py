"""Recorded before released: intents, completions, and what is projected from them.

In: a `Released` with its Decision, then what became of it. Out: `Recorded`, the only thing that can be written to a
client, and the full story of a request for a privacy officer. Called by `proxy`, `control` and `explain`; drivers are
made by `bootstrap` alone.
"""
