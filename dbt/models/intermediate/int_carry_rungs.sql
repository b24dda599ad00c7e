select
    positions.strategy,
    positions.short_instrument_id,
    positions.long_instrument_id,
    positions.snapshot_at,
    short_rung.notional_usd,
    short_rung.round_trip_bps + long_rung.round_trip_bps as round_trip_bps,
    greatest(short_rung.available_at, long_rung.available_at) as available_at

from {{ ref('int_carry_positions') }} as positions

inner join {{ ref('int_carry_ladder') }} as short_rung
    on
        positions.short_instrument_id = short_rung.instrument_id
        and positions.snapshot_at = short_rung.snapshot_at

inner join {{ ref('int_carry_ladder') }} as long_rung
    on
        positions.long_instrument_id = long_rung.instrument_id
        and positions.snapshot_at = long_rung.snapshot_at
        and short_rung.notional_usd = long_rung.notional_usd
