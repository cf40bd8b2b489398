"""The policy information point: where directory, consent snapshot and gathered context meet.

In: a held page, the caller, the consent store and a way to ask upstream. Out: `Facts` for the decision, and the store's
revisions; what stays unresolved is named unknown. Called by `proxy` for each exchange, by `decide` on a question.
"""
