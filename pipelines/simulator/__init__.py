"""An embedded market: one seeded, coherent world, written in the formats of real venues."""
