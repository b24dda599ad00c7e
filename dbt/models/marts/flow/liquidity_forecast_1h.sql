with

books as (

    select
        venue,
        underlying,
        instrument_id,
        {{ hour_of('snapshot_at') }} as hour_at,
        {{ exact_sum('case when spread_bps > 0 then ln(spread_bps) end') }}
        / nullif(count(case when spread_bps > 0 then 1 end), 0) as spread_ln,
        {{ exact_sum('case when thinner_depth_usd > 0 then ln(thinner_depth_usd) end') }}
        / nullif(count(case when thinner_depth_usd > 0 then 1 end), 0) as depth_ln,
        count(*) as book_count,
        max(snapshot_at) as newest_at,
        max(available_at) as available_at,
        max(case when is_availability_assumed then 1 else 0 end) as assumed

    from {{ ref('int_book_depths') }}

    group by venue, underlying, instrument_id, {{ hour_of('snapshot_at') }}

),

returns as (

    select
        instrument_id,
        {{ hour_of('minute_at') }} as hour_at,
        volume_usd,
        available_at,
        ln(close_price / lag(close_price) over (
            partition by instrument_id, {{ hour_of('minute_at') }}
            order by minute_at asc nulls last
        )) as step

    from {{ ref('bars_1m') }}

    where close_price > 0

),

trading as (

    select
        instrument_id,
        hour_at,
        {{ exact_sum('volume_usd') }} as volume_usd,
        {{ exact_sum('1e6 * step * step') }} as variance,
        max(available_at) as available_at

    from returns

    group by instrument_id, hour_at

),

shocks as (

    select
        instrument_id,
        {{ hour_of('started_at') }} as hour_at,
        max(detected_at) as detected_at

    from {{ ref('liquidity_events') }}

    where kind in ('spread_blowout', 'depth_collapse')

    group by instrument_id, {{ hour_of('started_at') }}

),

hours as (

    select
        books.venue,
        books.underlying,
        books.instrument_id,
        books.hour_at,
        {{ plus_seconds('books.hour_at', 3600) }} as hour_end_at,
        books.spread_ln,
        books.depth_ln,
        case when trading.variance > 0 then 0.5 * ln(trading.variance) end as volatility_ln,
        case when trading.volume_usd > 0 then ln(trading.volume_usd) end as volume_ln,
        case when shocks.instrument_id is not null then 1e0 else 0e0 end as shock_now,
        books.book_count,
        books.newest_at,
        books.assumed,
        greatest(
            {{ plus_seconds('books.hour_at', 3600) }},
            books.available_at,
            coalesce(trading.available_at, books.available_at),
            coalesce(shocks.detected_at, books.available_at)
        ) as available_at,
        row_number() over (
            order by books.hour_at asc nulls last, books.instrument_id asc nulls last
        ) as place

    from books

    left join trading
        on books.instrument_id = trading.instrument_id and books.hour_at = trading.hour_at

    left join shocks
        on books.instrument_id = shocks.instrument_id and books.hour_at = shocks.hour_at

),

-- Against the instrument's own day before, the hours of it that have books; its own hour is not in
-- what it is compared with.
compared as (

    select
        *,
        spread_ln - avg(spread_ln) over day_before as spread_change,
        depth_ln - avg(depth_ln) over day_before as depth_change,
        volatility_ln - avg(volatility_ln) over day_before as volatility_change,
        volume_ln - avg(volume_ln) over day_before as volume_change,
        avg(shock_now) over day_before as shock_share,
        -- The model has learnt from every instrument.
        max(available_at) over (order by hour_at asc nulls last) as known_at,
        case
            when lag(hour_end_at) over hours_in_turn = hour_at then lag(place) over hours_in_turn
        end as previous_place

    from hours

    window
        hours_in_turn as (partition by instrument_id order by hour_at asc nulls last),
        day_before as (
            partition by instrument_id
            order by {{ step_number('hour_at', 3600) }} asc nulls last
            range between 24 preceding and 1 preceding
        )

),

together as (

    select
        {{ list_of(step_number('hour_at', 3600), 'place') }} as step,
        {{ list_of('previous_place', 'place') }} as previous_place,
        {{ list_of('shock_now > 0', 'place') }} as is_shock,
        {{ list_of('spread_change', 'place') }} as spread_ln,
        {{ list_of('depth_change', 'place') }} as depth_ln,
        {{ list_of('volatility_change', 'place') }} as volatility_ln,
        {{ list_of('volume_change', 'place') }} as volume_ln,
        {{ list_of('shock_now', 'place') }} as shock_now,
        {{ list_of('shock_share', 'place') }} as shock_share

    from compared

),

forecasts as (

    select
        {{ exploded(
            'shock_forecast(step, previous_place, is_shock, spread_ln, depth_ln, volatility_ln, '
            ~ 'volume_ln, shock_now, shock_share)'
        ) }} as told

    from together

)

select
    compared.venue,
    compared.underlying,
    compared.instrument_id,
    compared.hour_at,
    forecasts.told.probability as shock_probability,
    forecasts.told.base_rate as base_rate_probability,
    compared.shock_now > 0 as had_shock,
    forecasts.told.brier as trailing_brier,
    forecasts.told.naive_brier as trailing_brier_base_rate,
    1 - forecasts.told.brier / nullif(forecasts.told.naive_brier, 0) as brier_skill,
    forecasts.told.scored as scored_count,
    compared.spread_change,
    compared.depth_change,
    compared.volatility_change,
    compared.volume_change,
    compared.shock_share,
    compared.book_count,
    compared.known_at as available_at,
    {{ quality(
        'compared.hour_end_at',
        'compared.newest_at',
        'null',
        soft_flags=[
            ('forecasts.told.probability is null', 'short_history'),
            ('forecasts.told.brier >= forecasts.told.naive_brier', 'no_skill'),
            ('compared.volatility_ln is null', 'no_trades'),
            ('compared.assumed = 1', 'assumed_availability'),
        ]
    ) }}

from compared

inner join forecasts
    on compared.place = forecasts.told.place

where compared.known_at <= {{ as_of() }}
