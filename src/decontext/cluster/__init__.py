"""Many photos on a cluster: Ray Data hands them to actors that hold the editor.

Above `folders` on the way of the data: finding, manifest and what is done with one photo are the
same. Here are the places where photos lie, the actors and their metrics. Needs the extra
`[cluster]`.
"""
