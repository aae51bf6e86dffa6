"""Evidence for four claims, gathered from the engine itself: event-driven, addition only, linear, mask and add.

`python -m sdt_ref.claims` prints it. Each claim has a module, with a function that returns what it counted or read and
whether the claim holds. The network does not import this package.
"""
