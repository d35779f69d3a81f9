"""MQTT 3.1.1 and 5.0: reason codes, properties, packets, and the server's side of a connection as a machine."""
