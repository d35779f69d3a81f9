"""The vertical: from readings to exact bills. It knows meters, tariffs, accounts, and no bytes or sockets."""
