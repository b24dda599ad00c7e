"""How is it obtained?"""
