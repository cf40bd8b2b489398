"""The only door out: `Held` and its Decisions become `Released`. Pure.

In: upstream's body as it was held, and the Decisions on it. Out: the bytes, counts, links and labels the recipient may
have, every change from a listed edit. Called by `proxy` and by `decide`; only the ledger takes a `Released` further.
"""
