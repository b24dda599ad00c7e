"""When does it run?"""
