"""Planning: pure arithmetic for decisions before anything is bought. Every assumption is an input or a named figure."""
