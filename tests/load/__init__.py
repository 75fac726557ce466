"""The load tests themselves: do they see what is wrong, and do they run?"""
