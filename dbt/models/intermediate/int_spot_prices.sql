with

candidates as (

    select
        venue,
        base,
        quote,
        snapshot_at,
        instrument_id,
        mid_price as price,
        half_spread_bps,
        'spot_mid' as spot_source,
        1 as source_rank,
        mid_at as observed_at,
        available_at,
        is_availability_assumed

    from {{ ref('int_basis_quotes') }}

    where kind = 'spot' and mid_price is not null

    union all

    select
        venue,
        base,
        quote,
        snapshot_at,
        instrument_id,
        close_price as price,
        cast(null as double) as half_spread_bps,
        'spot_trade' as spot_source,
        2 as source_rank,
        traded_at as observed_at,
        available_at,
        is_availability_assumed

    from {{ ref('int_basis_trades') }}

    where kind = 'spot'

),

ranked as (

    select
        *,
        row_number() over (
            partition by instrument_id, snapshot_at
            order by
                source_rank asc nulls last,
                observed_at desc nulls last
        ) as choice

    from candidates

)

select
    venue,
    base,
    quote,
    snapshot_at,
    instrument_id,
    price,
    half_spread_bps,
    spot_source,
    source_rank,
    observed_at,
    available_at,
    is_availability_assumed

from ranked

where choice = 1
