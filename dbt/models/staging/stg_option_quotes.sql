with

source as (

    select * from {{ source('lake', 'option_quotes') }}

),

timed as (

    select
        ---------- identity
        source.venue,
        source.underlying,
        source.instrument_id,

        ---------- time
        source.day_at,
        source.snapshot_at,
        source.quoted_at,
        source.received_at,
        {{ availability('source.received_at', 'source.snapshot_at') }},

        ---------- measures
        source.bid_price,
        source.bid_quantity_base,
        source.ask_price,
        source.ask_quantity_base,
        source.mark_price,
        source.last_price,
        source.price_unit,
        source.venue_iv_bid,
        source.venue_iv_mark,
        source.venue_iv_ask,
        source.venue_delta,
        source.venue_gamma,
        source.venue_vega,
        source.venue_theta,
        source.underlying_price,
        source.index_price,
        source.open_interest_contracts,
        source.open_interest_base,
        source.open_interest_usd,
        source.volume_24h_usd

    from source

    {{ latencies_joined('option_quotes', 'source.snapshot_at') }}

),

-- A chain is one observation, known when its last row is: an as-of build reads it whole or not.
whole as (

    select
        *,
        max(available_at) over (
            partition by day_at, venue, underlying, snapshot_at
        ) as chain_available_at

    from timed

),

ranked as (

    select
        *,
        {{ place_among_equals(['day_at', 'instrument_id', 'snapshot_at']) }}

    from whole

    where chain_available_at <= {{ as_of() }}

)

select
    venue,
    underlying,
    instrument_id,
    day_at,
    snapshot_at,
    quoted_at,
    received_at,
    chain_available_at as available_at,
    is_availability_assumed,
    bid_price,
    bid_quantity_base,
    ask_price,
    ask_quantity_base,
    mark_price,
    last_price,
    price_unit,
    venue_iv_bid,
    venue_iv_mark,
    venue_iv_ask,
    venue_delta,
    venue_gamma,
    venue_vega,
    venue_theta,
    underlying_price,
    index_price,
    open_interest_contracts,
    open_interest_base,
    open_interest_usd,
    volume_24h_usd

from ranked

where place_among_equals = 1
