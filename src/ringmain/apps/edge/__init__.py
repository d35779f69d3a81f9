"""The edge gateway: the platform's rooms in another composition, with a buffer where the platform has its stores."""
