{{ config(
    materialized='incremental',
    incremental_strategy='microbatch',
    event_time='minute_at',
    meta={'reads_day_before': true},
) }}

with

-- An answer from after midnight is of no second of the day that asked.
quotes as (

    select
        *,
        {{ quote_stood_at() }} as stood_at

    from {{ ref('stg_quotes') }}

    where mid_price > 0 and {{ quote_stood_at() }} < {{ day_end(day_of('snapshot_at')) }}

),

seconds as (

    select
        quotes.venue,
        quotes.underlying,
        quotes.instrument_id,
        instruments.kind,
        instruments.base,
        instruments.quote,
        instruments.expires_at,
        {{ whole_seconds('quotes.stood_at') }} as second_number,
        {{ last_by('quotes.mid_price', ['quotes.stood_at', 'quotes.snapshot_at']) }} as price,
        max(quotes.stood_at) as newest_at,
        max(quotes.available_at) as available_at,
        max(case when quotes.is_availability_assumed then 1 else 0 end) as is_assumed

    from quotes

    inner join {{ ref('stg_instruments') }} as instruments
        on
            quotes.instrument_id = instruments.instrument_id
            and quotes.snapshot_at >= instruments.valid_from
            and quotes.snapshot_at < instruments.valid_to

    inner join {{ ref('quote_assets') }} as quote_assets
        on instruments.quote = quote_assets.asset and quote_assets.is_dollar

    where instruments.kind in ('spot', 'perp', 'future')

    group by
        quotes.venue, quotes.underlying, quotes.instrument_id, instruments.kind,
        instruments.base, instruments.quote, instruments.expires_at,
        {{ whole_seconds('quotes.stood_at') }}

),

-- Both quoted within the same second: nothing is carried from one second to the next.
paired as (

    select
        derivative.venue,
        derivative.underlying,
        derivative.instrument_id,
        derivative.kind,
        derivative.quote,
        spot.quote as spot_quote,
        derivative.quote = spot.quote as is_same_quote,
        derivative.venue = spot.venue as is_same_venue,
        spot.instrument_id as spot_instrument_id,
        derivative.second_number,
        derivative.price / spot.price as ratio,
        10000 * ln(derivative.price / lag(derivative.price) over each_pair) as change_bps,
        derivative.second_number - lag(derivative.second_number) over each_pair as step_s,
        {{ minute_of(instant_of('derivative.second_number * 1000000')) }} as minute_at,
        greatest(derivative.newest_at, spot.newest_at) as newest_at,
        greatest(derivative.available_at, spot.available_at) as available_at,
        greatest(derivative.is_assumed, spot.is_assumed) as is_assumed

    from seconds as derivative

    inner join seconds as spot
        on
            derivative.base = spot.base
            and derivative.second_number = spot.second_number
            and spot.kind = 'spot'
            and derivative.kind <> 'spot'

    where derivative.expires_at is null or derivative.newest_at < derivative.expires_at

    window each_pair as (
        partition by derivative.instrument_id, spot.instrument_id
        order by derivative.second_number asc nulls last
    )

),

-- By the rate of the five-minute mark that had passed when the minute began.
converted as (

    select
        paired.*,
        case when paired.is_same_quote then cast(1 as double) else rates.rate end as stablecoin_rate,
        10000 * (paired.ratio / coalesce(rates.rate, 1) - 1) as basis_bps,
        greatest(paired.available_at, coalesce(rates.available_at, paired.available_at))
            as converted_available_at,
        greatest(paired.is_assumed, case when rates.is_availability_assumed then 1 else 0 end)
            as is_any_assumed

    from paired

    left join {{ ref('int_stablecoin_rates') }} as rates
        on
            paired.spot_quote = rates.from_asset
            and paired.quote = rates.to_asset
            and {{ bin_end(plus_seconds('paired.minute_at', -240), 300) }} = rates.snapshot_at

),

-- Small numbers, whose squares keep their digits.
raised as (

    select
        *,
        basis_bps - min(basis_bps) over each_minute as raised_bps

    from converted

    window each_minute as (partition by instrument_id, spot_instrument_id, minute_at)

),

-- Sums of decimals: the same bits in whatever order the seconds come.
minutes as (

    select
        venue,
        underlying,
        instrument_id,
        kind,
        spot_instrument_id,
        is_same_quote,
        is_same_venue,
        minute_at,
        max(stablecoin_rate) as stablecoin_rate,
        count(*) as seconds_used,
        {{ exact_sum('basis_bps') }} / count(*) as basis_mean_bps,
        {{ quantile('basis_bps', 0.5) }} as basis_median_bps,
        {{ exact_sum('raised_bps') }} as raised_sum,
        {{ exact_sum('raised_bps * raised_bps') }} as raised_squares,
        min(basis_bps) as basis_low_bps,
        max(basis_bps) as basis_high_bps,
        {{ last_by('basis_bps', ['second_number']) }} as basis_last_bps,
        {{ exact_sum('case when step_s = 1 then change_bps * change_bps end') }} as change_squares,
        count(case when step_s = 1 then change_bps end) as steps_used,
        max(newest_at) as newest_at,
        max(converted_available_at) as available_at,
        max(is_any_assumed) = 1 as is_availability_assumed

    from raised

    group by
        venue, underlying, instrument_id, kind, spot_instrument_id, is_same_quote, is_same_venue,
        minute_at

),

ranked as (

    select
        *,
        {{ minute_end('minute_at') }} as minute_end_at,
        row_number() over (
            partition by instrument_id, minute_at
            order by
                case when is_same_quote then 0 else 1 end asc nulls last,
                case when stablecoin_rate is null then 1 else 0 end asc nulls last,
                case when is_same_venue then 0 else 1 end asc nulls last,
                seconds_used desc nulls last,
                spot_instrument_id asc nulls last
        ) as choice

    from minutes

),

final as (

    select
        venue,
        underlying,
        instrument_id,
        minute_at,
        kind,
        spot_instrument_id,
        stablecoin_rate,
        seconds_used,
        basis_mean_bps,
        basis_median_bps,
        case
            when seconds_used > 1
                then
                    sqrt(
                        greatest(raised_squares - raised_sum * raised_sum / seconds_used, 0)
                        / (seconds_used - 1)
                    )
        end as basis_deviation_bps,
        basis_low_bps,
        basis_high_bps,
        basis_last_bps,
        sqrt(change_squares / nullif(steps_used, 0)) as price_change_bps,
        greatest(minute_end_at, available_at) as available_at,
        {{ quality(
            'minute_end_at',
            'newest_at',
            'null',
            soft_flags=[
                ('seconds_used < 30', 'few_seconds'),
                ('stablecoin_rate is null', 'stablecoin_assumed'),
                ('is_availability_assumed', 'assumed_availability'),
            ]
        ) }}

    from ranked

    where choice = 1

)

select *

from final

where available_at <= {{ as_of() }}
