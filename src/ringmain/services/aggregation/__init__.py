"""Aggregation: windows over readings, in the civil time of their site, with every revision late data makes of them."""
