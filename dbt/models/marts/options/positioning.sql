{{ config(meta={'carries_state': true}) }}

with

earlier as (

    select
        instrument_id,
        {{ exact_sum('taker_bought_base') }} as taker_bought_base

    from {{ uncut(ref('int_option_flow')) }}

    where {{ before_batch('day_at') }}

    group by instrument_id

),

today as (

    select * from {{ ref('int_option_flow') }}

),

starts as (

    select
        venue,
        underlying,
        min(day_at) as started_at

    from {{ uncut(ref('int_option_flow')) }}

    where {{ until_batch('day_at') }}

    group by venue, underlying

),

options as (

    select
        quotes.venue,
        quotes.underlying,
        quotes.instrument_id,
        quotes.expires_at,
        quotes.strike,
        quotes.option_type,
        quotes.snapshot_at,
        {{ plus_seconds('quotes.snapshot_at', '-0.000001') }} as just_before_at,
        quotes.open_interest_base,
        quotes.volume_24h_usd,
        quotes.gamma,
        quotes.index_price,
        quotes.available_at,
        {{ plus_seconds('quotes.snapshot_at', '-quotes.staleness_s') }} as quoted_at,
        instruments.listed_at

    from {{ ref('quotes') }} as quotes

    inner join {{ ref('stg_instruments') }} as instruments
        on
            quotes.instrument_id = instruments.instrument_id
            and {{ day_of('quotes.snapshot_at') }} = instruments.valid_from

    where quotes.t_years > 0

),

held as (

    select
        options.*,
        -- A share of the prints since listing, or all of them.
        coalesce(earlier.taker_bought_base, 0) + coalesce(today.day_taker_bought_base, 0) as taker_bought_base,
        coalesce(options.listed_at >= starts.started_at, false) as is_flow_whole,
        greatest(options.available_at, today.available_at) as known_at,
        -- USD per 1 % move of the price and base coin held.
        options.gamma * options.index_price * options.index_price * 0.01 as unit_gamma_usd,
        case options.option_type when 'call' then 1 when 'put' then -1 end as call_sign,
        starts.started_at

    from options

    {{ asof_left_join('today', 'today', ['instrument_id'], 'options', 'just_before_at', 'event_at') }}

    left join earlier
        on options.instrument_id = earlier.instrument_id

    left join starts
        on options.venue = starts.venue and options.underlying = starts.underlying

),

levels as (

    select
        *,
        'strike' as level_kind,
        cast(null as timestamp) as level_expires_at,
        strike as level_strike

    from held

    union all

    select
        *,
        'expiry' as level_kind,
        expires_at as level_expires_at,
        cast(null as double) as level_strike

    from held

    union all

    select
        *,
        'chain' as level_kind,
        cast(null as timestamp) as level_expires_at,
        cast(null as double) as level_strike

    from held

),

summed as (

    select
        venue,
        underlying,
        level_kind,
        level_expires_at as expires_at,
        level_strike as strike,
        snapshot_at,
        count(*) as option_count,
        max(index_price) as index_price,
        {{ exact_sum('open_interest_base') }} as open_interest_base,
        {{ exact_sum("case when option_type = 'call' then open_interest_base end") }} as call_open_interest_base,
        {{ exact_sum("case when option_type = 'put' then open_interest_base end") }} as put_open_interest_base,
        {{ exact_sum("case when option_type = 'call' then volume_24h_usd end") }} as call_volume_24h_usd,
        {{ exact_sum("case when option_type = 'put' then volume_24h_usd end") }} as put_volume_24h_usd,
        {{ exact_sum('call_sign * open_interest_base * unit_gamma_usd') }} as gamma_calls_long_usd,
        {{ exact_sum('-taker_bought_base * unit_gamma_usd') }} as gamma_against_takers_usd,
        {{ exact_sum('taker_bought_base') }} as taker_bought_base,
        {{ exact_sum('case when unit_gamma_usd is not null then open_interest_base else 0 end') }} as weighed_base,
        {{ exact_sum('case when is_flow_whole then open_interest_base else 0 end') }} as followed_base,
        max(started_at) as flow_started_at,
        max(known_at) as available_at,
        max(quoted_at) as newest_quoted_at

    from levels

    group by venue, underlying, level_kind, level_expires_at, level_strike, snapshot_at

),

final as (

    select
        venue,
        underlying,
        level_kind,
        expires_at,
        strike,
        snapshot_at,
        cast(option_count as integer) as option_count,
        index_price,
        open_interest_base,
        open_interest_base * index_price as open_interest_usd,
        call_open_interest_base,
        put_open_interest_base,
        put_open_interest_base / nullif(call_open_interest_base, 0) as put_call_open_interest_ratio,
        call_volume_24h_usd,
        put_volume_24h_usd,
        put_volume_24h_usd / nullif(call_volume_24h_usd, 0) as put_call_volume_ratio,
        gamma_calls_long_usd as dealer_gamma_calls_long_usd,
        case when flow_started_at is not null then gamma_against_takers_usd end as dealer_gamma_taker_flow_usd,
        case when flow_started_at is not null then taker_bought_base end as taker_bought_base,
        followed_base / nullif(open_interest_base, 0) as flow_coverage_share,
        available_at,
        {{ quality(
            'snapshot_at',
            'newest_quoted_at',
            'weighed_base / nullif(open_interest_base, 0)',
            hard_flags=[('open_interest_base is null', 'no_open_interest')],
            soft_flags=[
                ('flow_started_at is null', 'no_prints'),
                ('followed_base < open_interest_base', 'flow_incomplete'),
            ],
        ) }}

    from summed

)

select * from final
