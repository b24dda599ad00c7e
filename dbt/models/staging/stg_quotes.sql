with

source as (

    select * from {{ source('lake', 'quotes') }}

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
        source.received_at,
        {{ availability('source.received_at', 'source.snapshot_at') }},

        ---------- measures
        source.bid_price,
        source.bid_quantity_base,
        source.ask_price,
        source.ask_quantity_base,
        source.mark_price,
        source.index_price,
        source.last_price,
        source.open_interest_contracts,
        source.open_interest_base,
        source.open_interest_usd,
        source.volume_24h_usd,
        source.is_every_update

    from source

    {{ latencies_joined('quotes', 'source.snapshot_at') }}

),

-- The book and the ticker of an instrument are two feeds: at one stamp each tells a part.
told as (

    select
        venue,
        underlying,
        instrument_id,
        day_at,
        snapshot_at,
        max(received_at) as received_at,
        max(available_at) as available_at,
        max(case when is_availability_assumed then 1 else 0 end) = 1 as is_availability_assumed,
        max(bid_price) as bid_price,
        max(bid_quantity_base) as bid_quantity_base,
        max(ask_price) as ask_price,
        max(ask_quantity_base) as ask_quantity_base,
        max(mark_price) as mark_price,
        max(index_price) as index_price,
        max(last_price) as last_price,
        max(open_interest_contracts) as open_interest_contracts,
        max(open_interest_base) as open_interest_base,
        max(open_interest_usd) as open_interest_usd,
        max(volume_24h_usd) as volume_24h_usd,
        max(
            case when is_every_update then 1 when not is_every_update then 0 end
        ) = 1 as is_every_update

    from timed

    where available_at <= {{ as_of() }}

    group by venue, underlying, instrument_id, day_at, snapshot_at

)

select
    *,
    case when bid_price <= ask_price then (bid_price + ask_price) / 2 end as mid_price

from told
