"""Who is who: participants, agreements, relationships and patient identity. Pure.

In: the directory's YAML, already read to plain values. Out: a frozen `Directory` that answers which participant a
reference or identifier names, and what two participants have agreed. Called by `identity`, `facts` and `decision`;
`bootstrap` reads the file and swaps the whole value at a reload.
"""
