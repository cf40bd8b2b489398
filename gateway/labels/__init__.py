"""What a resource is about, as security labels. Pure.

In: a resource view, its context and the Policy's code lists. Out: the labels received and assigned, each with its
cause; what cannot be told is labelled unknown, never harmless. Called by `decision`'s callers and by `label`.
"""
