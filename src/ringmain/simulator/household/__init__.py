"""Homes that use electricity the way homes do, made from chance with a key: pure numpy, no clock, no file.

`block.HouseholdBlock` is the way in: 256 homes, a day at a time. What any home uses in any minute follows from seed,
number of the home and time alone; so a restart, a resend or another machine says the same.
"""
