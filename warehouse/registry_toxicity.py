"""Which functions of the toxicity of flow can SQL call?

What registry.py says of missing values holds here.
"""

import numpy as np
import pyarrow as pa

from warehouse.arrow import (
    NUMBERS,
    TEXT,
    WHOLE,
    WHOLES,
    Array,
    Lists,
    SqlFunction,
    cut,
    declared,
    list_of,
    names_of,
    nullable,
    numbers,
    ragged,
    record_type,
    wholes,
)
from warehouse.functions import toxicity

STATE = record_type("past_share", hour=WHOLE, toxicity_state=TEXT)


def toxicity_states(hours: Lists, values: Lists, *rule: Array) -> Array:
    (hour, value), offsets = ragged("toxicity_states", [hours, values])
    at, x = wholes(hour), numbers(value)
    state, share = np.zeros(at.size, dtype=np.int8), np.full(at.size, np.nan)
    for row, given in enumerate(zip(*(c.to_pylist() for c in rule), strict=True)):
        part = cut(offsets, row)
        # Without a rule nothing is known, as without a past.
        if at[part].size and None not in given:
            found = toxicity.states(at[part], x[part], toxicity.Rule(*given))
            state[part], share[part] = found.state, found.past_share
    columns = [nullable(share), pa.array(at), names_of(toxicity.Toxicity, state)]
    return list_of(STATE, offsets, columns)


TOXICITY = (
    SqlFunction(
        "toxicity_states",
        (
            ("hours", WHOLES),
            ("values", NUMBERS),
            *declared("elevated_enter", "elevated_exit", "toxic_enter", "toxic_exit"),
            *declared("window_hours", "min_hours", dtype=WHOLE),
        ),
        pa.list_(STATE),
        "Level of a figure among those of the hours before, per listed hour, ascending whole hours "
        "since 1970: calm, elevated, toxic, or unknown where there is no figure, no rule or too "
        "little past; and the share of the past below it.",
        toxicity_states,
    ),
)
