"""What is stored, and what can be computed over it?"""
