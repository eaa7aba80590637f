"""A page in the browser, on this computer alone, to explore what models make, refine, check and save it."""
