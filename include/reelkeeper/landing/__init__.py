"""Where recordings arrive: folders, prefixes of stores, lists of URLs; and what their names say about them."""
