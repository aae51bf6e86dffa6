"""Pictures for people: the only room that imports matplotlib, which comes with `pip install 'sdt_ref[report]'`.

`canvas` holds what all pictures share; the other modules each draw one, from what was computed elsewhere.
"""
