with

exposed as (

    select distinct underlying from {{ ref('int_position_underlyings') }}

),

observed as (

    select
        quotes.underlying,
        'index' as feed,
        quotes.snapshot_at as priced_at,
        quotes.available_at,
        quotes.index_price as price,
        quotes.instrument_id as source_id

    from {{ ref('stg_quotes') }} as quotes

    inner join exposed
        on quotes.underlying = exposed.underlying

    where quotes.index_price is not null

    union all

    select
        snapshots.underlying,
        'index' as feed,
        snapshots.snapshot_at as priced_at,
        snapshots.available_at,
        snapshots.index_price as price,
        snapshots.venue as source_id

    from {{ ref('int_option_snapshots') }} as snapshots

    inner join exposed
        on snapshots.underlying = exposed.underlying

    where snapshots.index_source = 'chain'

    union all

    select
        underlying,
        case kind when 'perp' then 'perpetual' else kind end as feed,
        priced_at,
        available_at,
        price,
        instrument_id as source_id

    from {{ ref('int_mark_prices') }}

    where feed <> 'mark'

    union all

    select
        forwards.underlying,
        'forward' as feed,
        forwards.snapshot_at as priced_at,
        forwards.available_at,
        {{ first_by('forwards.forward', ['forwards.expires_at']) }} as price,
        forwards.venue as source_id

    from {{ ref('forwards') }} as forwards

    inner join exposed
        on forwards.underlying = exposed.underlying

    where forwards.forward is not null and forwards.t_years > 0

    group by forwards.underlying, forwards.snapshot_at, forwards.available_at, forwards.venue

),

ranked as (

    select
        *,
        row_number() over (
            partition by underlying, feed, available_at
            order by priced_at desc nulls last, source_id asc nulls last
        ) as place

    from observed

)

select
    underlying,
    feed,
    priced_at,
    available_at,
    price

from ranked

where place = 1
