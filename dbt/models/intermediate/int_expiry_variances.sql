{{ config(materialized='incremental', incremental_strategy='microbatch', event_time='snapshot_at') }}

with

quotes as (

    select
        quotes.venue,
        quotes.underlying,
        quotes.expires_at,
        quotes.snapshot_at,
        instruments.settle,
        quotes.strike,
        quotes.option_type,
        quotes.t_years,
        quotes.forward,
        quotes.bid_price,
        quotes.ask_price,
        case
            when quotes.price_unit = 'coin' then quotes.forward
            else 1 / coalesce(forwards.discount_factor, 1)
        end as to_forward_usd

    from {{ ref('quotes') }} as quotes

    inner join {{ ref('forwards') }} as forwards
        on
            quotes.venue = forwards.venue
            and quotes.underlying = forwards.underlying
            and quotes.expires_at = forwards.expires_at
            and quotes.snapshot_at = forwards.snapshot_at

    inner join {{ ref('stg_instruments') }} as instruments
        on
            quotes.instrument_id = instruments.instrument_id
            and {{ day_of('quotes.snapshot_at') }} = instruments.valid_from

    where
        quotes.t_years > 0
        and quotes.forward is not null
        -- What is stale or settling says nothing of variance to come.
        and coalesce(quotes.exclude_reason, 'none') not in ('stale', 'settling', 'too_near')

),

strikes as (

    select
        venue,
        underlying,
        expires_at,
        snapshot_at,
        settle,
        strike,
        max(t_years) as t_years,
        max(forward) as forward,
        max(case when option_type = 'call' then bid_price * to_forward_usd end) as call_bid,
        max(case when option_type = 'call' then ask_price * to_forward_usd end) as call_ask,
        max(case when option_type = 'put' then bid_price * to_forward_usd end) as put_bid,
        max(case when option_type = 'put' then ask_price * to_forward_usd end) as put_ask

    from quotes

    group by venue, underlying, expires_at, snapshot_at, settle, strike

),

stripped as (

    select
        venue,
        underlying,
        expires_at,
        snapshot_at,
        settle,
        cboe_strip(
            {{ short_list_of('strike', 'strike') }},
            {{ short_list_of('call_bid', 'strike') }},
            {{ short_list_of('call_ask', 'strike') }},
            {{ short_list_of('put_bid', 'strike') }},
            {{ short_list_of('put_ask', 'strike') }},
            max(t_years),
            max(forward)
        ) as strip

    from strikes

    group by venue, underlying, expires_at, snapshot_at, settle

),

strips as (

    select
        venue,
        underlying,
        expires_at,
        snapshot_at,
        strip.total_variance,
        strip.lowest_strike,
        strip.highest_strike,
        strip.strikes_used,
        strip.strip_status,
        row_number() over (
            partition by venue, underlying, expires_at, snapshot_at
            order by
                (strip.total_variance is null) asc nulls last,
                strip.strikes_used desc nulls last,
                settle asc nulls last
        ) as choice

    from stripped

),

joined as (

    select
        slices.*,
        strips.total_variance as strip_variance,
        strips.lowest_strike,
        strips.highest_strike,
        coalesce(strips.strikes_used, 0) as strikes_used,
        coalesce(strips.strip_status, 'too_few_strikes') as strip_status,
        -- Beyond what was quoted a slice is a guess: its variance is frozen there.
        coalesce(ln(strips.lowest_strike / slices.forward), slices.lowest_log_moneyness) as k_low,
        coalesce(ln(strips.highest_strike / slices.forward), slices.highest_log_moneyness) as k_high

    from {{ ref('int_slices') }} as slices

    left join strips
        on
            slices.venue = strips.venue
            and slices.underlying = strips.underlying
            and slices.expires_at = strips.expires_at
            and slices.snapshot_at = strips.snapshot_at
            and strips.choice = 1

),

integrated as (

    select
        *,
        svi_variance(svi_a, svi_b, svi_rho, svi_m, svi_sigma, k_low, k_high) as surface

    from joined

)

select
    venue,
    underlying,
    expires_at,
    snapshot_at,
    t_years,
    strip_variance,
    strip_status,
    strikes_used,
    lowest_strike,
    highest_strike,
    surface.total_variance as surface_variance,
    surface.coverage_share,
    surface.variance_status as surface_status,
    case when svi_a is not null then atm_variance end as atm_variance,
    is_forward_elsewhere,
    available_at,
    newest_quoted_at

from integrated
