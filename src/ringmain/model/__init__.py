"""Ground floor of meaning: frozen structs and pure functions; no I/O, no clock, no bytes of any protocol."""
