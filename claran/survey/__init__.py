"""From mosaics to catalogs: work on tiles, in parallel and resumed."""
