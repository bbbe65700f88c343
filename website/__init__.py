"""What `make docs` needs beside the pages themselves: generated pages, links, the gallery."""
