"""Ingestion: feeds the time-series store from the log."""
