"""The policy decision point. Pure: the same question gives the same Decision.

In: recipient, purpose, action, instant, facts, labels and Policy. Out: a Decision for each resource and each patient it
names: verdict, edits, causes with citation, obligations, refrains, unmet conditions. Called by `proxy` for an
exchange, by `cli` and `control` for `decide`.
"""
