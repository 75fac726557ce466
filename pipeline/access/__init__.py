"""Who may do what: keys, tokens, shares, whose a session is, and how much each principal may ask for."""
