with

exposed as (

    select distinct underlying from {{ ref('int_position_underlyings') }}

),

-- The listed expiry nearest to a month stands for the vol of a hedge's horizon.
implied as (

    select
        skew.underlying,
        'atm_iv' as feed,
        skew.available_at,
        max(skew.snapshot_at) as priced_at,
        {{ first_by('skew.atm_iv', ['abs(ln(skew.tenor_days / 30))', 'skew.venue', 'skew.expires_at']) }} as vol

    from {{ ref('skew') }} as skew

    inner join exposed
        on skew.underlying = exposed.underlying

    where skew.tenor_kind = 'listed' and skew.atm_iv is not null and skew.tenor_days > 0

    group by skew.underlying, skew.available_at

),

closes as (

    select
        bars.underlying,
        bars.instrument_id,
        bars.minute_at,
        bars.available_at,
        ln(bars.close_price / lag(bars.close_price) over earlier) as log_return,
        {{ seconds_between('lag(bars.minute_at) over earlier', 'bars.minute_at') }} as gap_s

    from {{ ref('bars_1m') }} as bars

    inner join exposed
        on bars.underlying = exposed.underlying

    window earlier as (
        partition by bars.instrument_id
        order by bars.minute_at asc nulls last
    )

),

-- Zero mean, last prices a minute apart, over the trailing day; gaps above three steps are left out.
summed as (

    select
        underlying,
        instrument_id,
        minute_at,
        available_at,
        sum(case when gap_s <= 180 then log_return * log_return end) over past_day as squared_sum,
        sum(case when gap_s <= 180 then gap_s end) over past_day as observed_s

    from closes

    window past_day as (
        partition by instrument_id
        order by minute_at asc nulls last
        range between interval '1' day preceding and current row
    )

),

realized as (

    select
        underlying,
        'realized_vol' as feed,
        available_at,
        max({{ minute_end('minute_at') }}) as priced_at,
        {{ last_by(
            'round(sqrt(squared_sum / observed_s * 31536000), 6)', ['observed_s', 'instrument_id']
        ) }} as vol

    from summed

    -- Below an hour of returns the estimate says little.
    where observed_s >= 3600

    group by underlying, available_at

)

select
    underlying,
    feed,
    priced_at,
    available_at,
    vol

from implied

union all

select
    underlying,
    feed,
    priced_at,
    available_at,
    vol

from realized
