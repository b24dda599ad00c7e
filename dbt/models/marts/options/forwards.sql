{{ config(meta={'reads_day_before': true, 'rows_from': ['option_quotes']}) }}

with

options as (

    select
        quotes.venue,
        quotes.underlying,
        quotes.instrument_id,
        quotes.snapshot_at,
        coalesce(quotes.quoted_at, quotes.snapshot_at) as quoted_at,
        quotes.available_at,
        quotes.is_availability_assumed,
        quotes.price_unit,
        quotes.bid_price,
        quotes.ask_price,
        quotes.underlying_price,
        instruments.settle,
        instruments.expires_at,
        instruments.strike,
        instruments.option_type

    from {{ ref('stg_option_quotes') }} as quotes

    inner join {{ ref('stg_instruments') }} as instruments
        on
            quotes.instrument_id = instruments.instrument_id
            and {{ day_of('quotes.snapshot_at') }} = instruments.valid_from

),

expiries as (

    select
        venue,
        underlying,
        expires_at,
        snapshot_at,
        max(available_at) as available_at,
        max(quoted_at) as newest_quoted_at,
        count(*) filter (where is_availability_assumed) > 0 as is_availability_assumed,
        {{ last_by('underlying_price', ['quoted_at', 'instrument_id']) }} filter (
            where underlying_price is not null
        ) as venue_forward

    from options

    group by venue, underlying, expires_at, snapshot_at

),

-- Coin- and dollar-settled options of one expiry are two regressions; the one with more strikes counts.
strikes as (

    select
        venue,
        underlying,
        expires_at,
        snapshot_at,
        settle,
        strike,
        max(price_unit) = 'coin' as is_coin,
        max(bid_price) filter (where option_type = 'call') as call_bid,
        max(ask_price) filter (where option_type = 'call') as call_ask,
        max(bid_price) filter (where option_type = 'put') as put_bid,
        max(ask_price) filter (where option_type = 'put') as put_ask

    from options

    group by venue, underlying, expires_at, snapshot_at, settle, strike

),

boards as (

    select
        venue,
        underlying,
        expires_at,
        snapshot_at,
        settle,
        is_coin,
        {{ short_list_of('strike', 'strike') }} as strikes,
        {{ short_list_of('call_bid', 'strike') }} as call_bids,
        {{ short_list_of('call_ask', 'strike') }} as call_asks,
        {{ short_list_of('put_bid', 'strike') }} as put_bids,
        {{ short_list_of('put_ask', 'strike') }} as put_asks

    from strikes

    where call_bid is not null and call_ask is not null and put_bid is not null and put_ask is not null

    group by venue, underlying, expires_at, snapshot_at, settle, is_coin

),

fitted as (

    select
        venue,
        underlying,
        expires_at,
        snapshot_at,
        settle,
        forward_parity(strikes, call_bids, call_asks, put_bids, put_asks, is_coin) as fit

    from boards

),

regressions as (

    select
        venue,
        underlying,
        expires_at,
        snapshot_at,
        fit.forward as parity_forward,
        fit.standard_error,
        fit.discount_factor,
        fit.strikes_used,
        fit.parity_status,
        row_number() over (
            partition by venue, underlying, expires_at, snapshot_at
            order by (fit.forward is null) asc nulls last, fit.strikes_used desc nulls last, settle asc nulls last
        ) as place

    from fitted

),

futures as (

    select
        quotes.venue,
        quotes.underlying,
        instruments.expires_at,
        quotes.available_at,
        {{ last_by('quotes.mid_price', [
            'quotes.snapshot_at', "instruments.contract_type = 'inverse'", 'quotes.instrument_id',
        ]) }} as mid_price,
        max(quotes.snapshot_at) as priced_at

    from {{ uncut(ref('stg_quotes')) }} as quotes

    inner join {{ ref('stg_instruments') }} as instruments
        on
            quotes.instrument_id = instruments.instrument_id
            and {{ day_of('quotes.snapshot_at') }} = instruments.valid_from

    where
        instruments.kind = 'future'
        and quotes.mid_price is not null
        and {{ in_batch_or_day_before('quotes.day_at') }}

    group by quotes.venue, quotes.underlying, instruments.expires_at, quotes.available_at

),

limits as (

    select * from {{ ref('option_filters') }}

),

joined as (

    select
        expiries.venue,
        expiries.underlying,
        expiries.expires_at,
        expiries.snapshot_at,
        expiries.available_at,
        expiries.newest_quoted_at,
        expiries.is_availability_assumed,
        {{ seconds_between('expiries.snapshot_at', 'expiries.expires_at') }} / 31536000.0 as t_years,
        expiries.venue_forward,
        case
            when {{ seconds_between('futures.priced_at', 'expiries.snapshot_at') }} <= limits.max_reference_age_s
                then futures.mid_price
        end as future_forward,
        regressions.parity_forward,
        regressions.standard_error,
        regressions.discount_factor,
        coalesce(regressions.strikes_used, 0) as strikes_used,
        coalesce(regressions.parity_status, 'too_few_strikes') as parity_status,
        regressions.strikes_used >= limits.min_parity_strikes
        and regressions.standard_error <= limits.max_forward_error_share * regressions.parity_forward
            as is_parity_usable

    from expiries

    left join regressions
        on
            expiries.venue = regressions.venue
            and expiries.underlying = regressions.underlying
            and expiries.expires_at = regressions.expires_at
            and expiries.snapshot_at = regressions.snapshot_at
            and regressions.place = 1

    {{ asof_left_join('futures', 'futures', ['venue', 'underlying', 'expires_at'], 'expiries', 'available_at') }}

    inner join limits
        on expiries.snapshot_at >= limits.valid_from and expiries.snapshot_at < limits.valid_to

),

chosen as (

    select
        *,
        case
            when is_parity_usable then parity_forward
            else coalesce(future_forward, venue_forward)
        end as forward,
        case
            when is_parity_usable then 'parity'
            when future_forward is not null then 'future'
            when venue_forward is not null then 'venue'
        end as forward_source,
        10000 * (parity_forward / future_forward - 1) as future_distance_bps

    from joined

),

final as (

    select
        venue,
        underlying,
        expires_at,
        snapshot_at,
        t_years,
        forward,
        forward_source,
        parity_forward,
        future_forward,
        venue_forward,
        standard_error,
        discount_factor,
        cast(strikes_used as integer) as strikes_used,
        parity_status,
        future_distance_bps,
        available_at,
        {{ quality(
            'snapshot_at',
            'newest_quoted_at',
            'null',
            hard_flags=[('forward is null', 'no_forward')],
            soft_flags=[
                ("forward_source <> 'parity'", 'forward_not_from_parity'),
                ('abs(future_distance_bps) > 50', 'far_from_future'),
                ('is_availability_assumed', 'assumed_availability'),
            ],
        ) }}

    from chosen

)

select * from final
