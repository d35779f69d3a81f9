"""The tests; a package, because distributions exist that install one of that name too."""
