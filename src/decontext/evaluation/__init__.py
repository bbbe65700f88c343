"""What a protection does, in figures: is it still that person, and does the photo still look so.

Beside the way of the data: nothing in the engine imports it, and parts of it need the extra
`decontext[eval]`.
"""
