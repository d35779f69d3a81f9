"""The vertical: from readings to exact bills. It knows meters, tariffs and accounts, and nothing of bytes or sockets."""
