{{ config(
    materialized='incremental',
    incremental_strategy='microbatch',
    event_time='minute_at',
) }}

with

trades as (

    select
        venue,
        underlying,
        instrument_id,
        {{ minute_of('event_at') }} as minute_at,
        event_at,
        available_at,
        is_availability_assumed,
        trade_id,
        sequence,
        price,
        -- Negotiated prints say nothing of the book's flow; their ids still prove completeness.
        case when not is_block then price end as book_price,
        case when not is_block then quantity_base end as book_base,
        -- Made exact once: it is summed three times.
        case when not is_block then {{ exact('notional_usd') }} end as book_usd,
        case when not is_block then side end as book_side,
        case when not is_block and side is null then 1 else 0 end as unsided,
        case when not is_block then 1 else 0 end as book_count

    from {{ ref('stg_trades') }}

),

minutes as (

    select
        venue,
        underlying,
        instrument_id,
        minute_at,
        {{ first_by('book_price', ['event_at', 'sequence', 'trade_id']) }} as open_price,
        max(book_price) as high_price,
        min(book_price) as low_price,
        {{ last_by('book_price', ['event_at', 'sequence', 'trade_id']) }} as close_price,
        {{ exact_sum('book_base') }} as volume_base,
        {{ exact_sum('book_price * book_base') }} as volume_quote,
        sum(book_usd) as exact_usd,
        sum(case book_side when 'buy' then book_usd when 'sell' then 0 end) as exact_buy_usd,
        sum(case book_side when 'sell' then book_usd when 'buy' then 0 end) as exact_sell_usd,
        sum(book_count) as trade_count,
        sum(unsided) as unsided_count,
        max(event_at) as newest_event_at,
        max(available_at) as newest_available_at,
        max(case when is_availability_assumed then 1 else 0 end) as assumed_count,
        -- A print without a number leaves nothing to count from.
        max(case when sequence is null then 1 else 0 end) as unnumbered,
        count(sequence) as numbered_count,
        min(sequence) as first_sequence,
        max(sequence) as last_sequence

    from trades

    group by venue, underlying, instrument_id, minute_at

),

so_far as (

    select
        *,
        {{ day_of('minute_at') }} as day_at,
        {{ minute_end('minute_at') }} as minute_end_at,
        cast(exact_usd as double) as volume_usd,
        cast(exact_buy_usd as double) as buy_volume_usd,
        cast(exact_sell_usd as double) as sell_volume_usd,
        cast(sum(exact_buy_usd - exact_sell_usd) over day_so_far as double) as cvd_usd,
        max(newest_available_at) over day_so_far as inputs_available_at,
        sum(numbered_count) over day_so_far as received_count,
        max(last_sequence) over day_so_far
        - min(first_sequence) over day_so_far + 1 as spanned_count

    from minutes

    window day_so_far as (
        partition by instrument_id, {{ day_of('minute_at') }}
        order by minute_at asc nulls last
        rows between unbounded preceding and current row
    )

),

covered as (

    select
        *,
        greatest(minute_end_at, inputs_available_at) as available_at,
        case when unnumbered = 0 then least(received_count / cast(spanned_count as double), 1) end
            as coverage

    from so_far

    where trade_count > 0

)

select
    venue,
    underlying,
    instrument_id,
    minute_at,
    open_price,
    high_price,
    low_price,
    close_price,
    volume_base,
    volume_usd,
    buy_volume_usd,
    sell_volume_usd,
    buy_volume_usd - sell_volume_usd as signed_volume_usd,
    cvd_usd,
    cast(trade_count as bigint) as trade_count,
    -- A mean lies between its prices, though a quotient of sums may round beyond them.
    case
        when volume_base > 0
            then least(greatest(volume_quote / volume_base, low_price), high_price)
    end as vwap,
    coverage as coverage_share,
    available_at,
    {{ quality(
        'minute_end_at',
        'newest_event_at',
        'coverage',
        soft_flags=[
            ('coverage is null', 'coverage_unproven'),
            ('unsided_count > 0', 'side_unknown'),
            ('assumed_count > 0', 'assumed_availability'),
        ]
    ) }}

from covered

where available_at <= {{ as_of() }}
