"""Why protection works on an editor, measured: the paper's analyses, as numbers, plots and a page.

Beside the way of the data: nothing in the engine imports it. `measure` makes the numbers, `plots`
draws them (needs the extra `decontext[eval]`), `run` puts them into `index.html` and
`analysis.json`.
"""
