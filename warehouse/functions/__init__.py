"""Pure numerics: arrays in, arrays out, a status instead of an exception."""
