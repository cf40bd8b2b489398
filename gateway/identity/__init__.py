"""Who calls, and for what purpose.

In: a request's credentials and purpose header, the issuers' keys, the directory. Out: one caller: a participant, the
person behind it where told, and the one effective purpose; or a 401 or 403. Called by `proxy` and `control`.
"""
