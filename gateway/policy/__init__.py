"""Profiles, compiled. Pure.

In: the text of a profile, its flows and code lists. Out: a frozen `Policy` with a digest, or an error that names the
line at fault. Called by `bootstrap` at start-up and by the commands on profiles; read by `labels` and `decision`.
"""
