with

orders as (

    select
        *,
        row_number() over (
            partition by instrument_id
            order by event_at asc nulls last, trade_id asc nulls last, side asc nulls last
        ) as place

    from {{ ref('int_liquidations') }}

),

instruments as (

    select
        venue,
        underlying,
        instrument_id,
        {{ micros(day_of('min(event_at)')) }} as since_us,
        min(case when is_availability_assumed then event_at end) as assumed_from_at,
        min(case when is_side_assumed then event_at end) as side_assumed_from_at,
        {{ list_of(micros('event_at'), 'place') }} as at_us,
        {{ list_of(micros('available_at'), 'place') }} as known_us,
        {{ list_of("side = 'buy'", 'place') }} as is_buy,
        {{ list_of('price', 'place') }} as price,
        {{ list_of('notional_usd', 'place') }} as notional_usd

    from orders

    group by venue, underlying, instrument_id

),

-- Orders at most 60 s apart; bred by those of the 7 days before, counted in 5 minutes.
found as (

    select
        venue,
        underlying,
        instrument_id,
        assumed_from_at,
        side_assumed_from_at,
        {{ exploded(
            'liquidation_clusters(at_us, known_us, is_buy, price, notional_usd, since_us, '
            ~ '60, 604800, 300)'
        ) }} as wave

    from instruments

),

-- A cluster rests on the orders until its own last one: those after it say nothing of it.
clusters as (

    select
        found.venue,
        found.underlying,
        found.instrument_id,
        found.wave.side,
        {{ instant_of('found.wave.started_us') }} as started_at,
        {{ instant_of('found.wave.ended_us') }} as ended_at,
        {{ instant_of('found.wave.known_us') }} as known_at,
        found.wave.order_count,
        found.wave.notional_usd,
        found.wave.first_price,
        found.wave.last_price,
        found.wave.lowest_price,
        found.wave.highest_price,
        found.wave.branching_ratio,
        found.wave.past_order_count,
        found.wave.unvalued_count,
        coalesce(found.assumed_from_at <= {{ instant_of('found.wave.ended_us') }}, false)
            as is_availability_assumed,
        coalesce(found.side_assumed_from_at <= {{ instant_of('found.wave.ended_us') }}, false)
            as is_side_assumed

    from found

),

minutes as (

    select
        instrument_id,
        {{ plus_seconds('minute_at', 60) }} as minute_end_at,
        available_at,
        close_price

    from {{ ref('bars_1m') }}

),

compared as (

    select
        clusters.*,
        case
            when {{ seconds_between('minutes.minute_end_at', 'clusters.started_at') }} <= 300
                then minutes.close_price
        end as price_before,
        greatest(clusters.known_at, coalesce(minutes.available_at, clusters.known_at))
            as available_at

    from clusters

    {{ asof_left_join(
        'minutes', 'minutes', ['instrument_id'], 'clusters', 'started_at', 'minute_end_at'
    ) }}

)

select
    md5(concat_ws(
        '|',
        compared.instrument_id,
        compared.side,
        cast({{ micros('compared.started_at') }} as varchar)
    )) as cluster_id,
    compared.venue,
    compared.underlying,
    compared.instrument_id,
    compared.side,
    compared.started_at,
    compared.ended_at,
    cast({{ seconds_between('compared.started_at', 'compared.ended_at') }} as double) as duration_s,
    compared.order_count,
    compared.notional_usd,
    compared.price_before,
    compared.first_price,
    compared.last_price,
    10000 * (compared.last_price / compared.first_price - 1) as price_move_bps,
    10000 * (
        case compared.side
            when 'sell' then compared.lowest_price
            else compared.highest_price
        end / coalesce(compared.price_before, compared.first_price) - 1
    ) as worst_move_bps,
    compared.branching_ratio,
    'hardiman_bouchaud_2014' as branching_method,
    compared.past_order_count,
    feeds.throttle_s,
    feeds.throttle_s > 0 as is_throttled,
    compared.available_at,
    {{ quality(
        'compared.ended_at',
        'compared.ended_at',
        'null',
        soft_flags=[
            ('feeds.throttle_s is null', 'throttle_unknown'),
            ('feeds.throttle_s > 0', 'throttled_feed'),
            ('compared.branching_ratio is null', 'short_history'),
            ('compared.unvalued_count > 0', 'notional_unknown'),
            ('compared.is_side_assumed', 'side_assumed'),
            ('compared.is_availability_assumed', 'assumed_availability'),
        ]
    ) }}

from compared

left join {{ ref('liquidation_feeds') }} as feeds
    on
        compared.venue = feeds.venue
        and compared.started_at >= feeds.valid_from
        and compared.started_at < feeds.valid_to

where compared.available_at <= {{ as_of() }}
