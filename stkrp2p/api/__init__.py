"""How a running node is asked: the control socket for whoever owns it."""
