"""HTTP: the client a hub opens, one exchange over any client, and sockets that keep a deadline."""
