"""SenML (RFC 8428): sensor measurements as packs of records, in JSON and in CBOR. Bytes in, resolved records out."""
