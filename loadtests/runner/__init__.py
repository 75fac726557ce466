"""People by the thousand on any Rhapsode: when they come, what they do, what they heard, and was it right?"""
