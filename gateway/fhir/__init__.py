"""The standard's grammar. Pure.

In: request lines, parameters and bodies as text and bytes. Out: the interaction asked for (a closed set), search
parameters, a Bundle's raw spans and typed views, references, dates and compartments; or a refusal by form. Called by
every room above; knows nothing of policy.
"""
