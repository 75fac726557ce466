"""`rhapsode top`: reads the metrics page once a second and draws it."""
