{{ config(
    materialized='incremental',
    incremental_strategy='microbatch',
    event_time='day_at',
) }}

with

prints as (

    select
        trades.venue,
        trades.underlying,
        trades.instrument_id,
        trades.day_at,
        trades.event_at,
        -- Of prints at one stamp the last counts.
        {{ last_by('trades.price', ['trades.sequence', 'trades.trade_id']) }} as price,
        max(trades.available_at) as available_at,
        max(case when trades.is_availability_assumed then 1 else 0 end) as is_assumed

    from {{ ref('stg_trades') }} as trades

    inner join {{ ref('stg_instruments') }} as instruments
        on
            trades.instrument_id = instruments.instrument_id
            and trades.day_at >= instruments.valid_from
            and trades.day_at < instruments.valid_to

    where not trades.is_block and instruments.kind in ('spot', 'perp', 'future')

    group by
        trades.venue, trades.underlying, trades.instrument_id, trades.day_at, trades.event_at

),

series as (

    select
        venue,
        underlying,
        instrument_id,
        day_at,
        count(*) as stamps_used,
        {{ list_of(micros('event_at'), 'event_at') }} as at_us,
        {{ list_of('price', 'event_at') }} as prices,
        max(event_at) as newest_event_at,
        max(available_at) as available_at,
        max(is_assumed) = 1 as is_availability_assumed

    from prints

    group by venue, underlying, instrument_id, day_at

),

ranked as (

    select
        *,
        row_number() over (
            partition by underlying, day_at
            order by stamps_used desc nulls last, instrument_id asc nulls last
        ) as activity_rank

    from series

),

-- The market that prints most is the one the others are set against.
paired as (

    select
        series.venue,
        series.underlying,
        series.instrument_id,
        series.day_at,
        reference.instrument_id as reference_instrument_id,
        series.stamps_used,
        reference.stamps_used as reference_stamps_used,
        coalesce(clocks.uncertainty_s, any_clock.uncertainty_s) as uncertainty_s,
        coalesce(reference_clocks.uncertainty_s, any_clock.uncertainty_s) as reference_uncertainty_s,
        series.venue = reference.venue as is_one_venue,
        reference.at_us as reference_at_us,
        reference.prices as reference_prices,
        series.at_us,
        series.prices,
        greatest(series.newest_event_at, reference.newest_event_at) as newest_event_at,
        greatest(series.available_at, reference.available_at) as available_at,
        series.is_availability_assumed or reference.is_availability_assumed as is_availability_assumed

    from ranked as series

    inner join ranked as reference
        on
            series.underlying = reference.underlying
            and series.day_at = reference.day_at
            and reference.activity_rank = 1
            and series.activity_rank > 1

    left join {{ ref('clocks') }} as clocks
        on
            series.venue = clocks.venue
            and series.day_at >= clocks.valid_from
            and series.day_at < clocks.valid_to

    left join {{ ref('clocks') }} as reference_clocks
        on
            reference.venue = reference_clocks.venue
            and series.day_at >= reference_clocks.valid_from
            and series.day_at < reference_clocks.valid_to

    left join {{ ref('clocks') }} as any_clock
        on
            any_clock.venue = '*'
            and series.day_at >= any_clock.valid_from
            and series.day_at < any_clock.valid_to

),

skewed as (

    select
        *,
        -- Markets of one venue are stamped by machines of one clock, still not by one machine.
        case
            when is_one_venue then uncertainty_s
            else uncertainty_s + reference_uncertainty_s
        end as clock_skew_s

    from paired

),

estimated as (

    select
        *,
        lead_lag(reference_at_us, reference_prices, at_us, prices, clock_skew_s) as found

    from skewed

),

final as (

    select
        venue,
        underlying,
        instrument_id,
        reference_instrument_id,
        day_at,
        case when found.lead_lag_status = 'ok' then found.lag_s end as lag_s,
        found.lead_lag_status,
        found.lag_s as lag_at_maximum_s,
        clock_skew_s,
        found.contrast as contrast_bps2,
        found.correlation,
        found.correlation_at_zero,
        found.standard_error,
        found.lead_lag_ratio,
        stamps_used,
        reference_stamps_used,
        greatest({{ day_end('day_at') }}, available_at) as available_at,
        {{ quality(
            day_end('day_at'),
            'newest_event_at',
            'null',
            hard_flags=[("found.lead_lag_status = 'too_few'", 'too_few_prints')],
            soft_flags=[
                ('clock_skew_s is null', 'clock_unknown'),
                ('is_availability_assumed', 'assumed_availability'),
            ]
        ) }}

    from estimated

)

select *

from final

where available_at <= {{ as_of() }}
