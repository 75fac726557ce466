"""Who speaks and who answers: this server, servers elsewhere, and what happens when one of them cannot."""
