{{ config(
    materialized='incremental',
    incremental_strategy='microbatch',
    event_time='snapshot_at',
) }}

with

rungs as (

    select
        *,
        {{ exploded('ladder') }} as rung

    from {{ ref('int_book_depths') }}

)

select
    venue,
    underlying,
    instrument_id,
    kind,
    rung.side,
    rung.notional as notional_usd,
    snapshot_at,
    mid_price,
    -- A book quoted in another currency can fill some size, but which in dollars is not known.
    case when is_dollar then rung.vwap end as vwap,
    case when is_dollar then rung.slippage_bps end as slippage_bps,
    case when is_dollar then rung.levels_used end as levels_used,
    case when is_dollar then rung.is_fillable end as is_fillable,
    case rung.side when 'buy' then recorded_ask_usd else recorded_bid_usd end as recorded_usd,
    case rung.side when 'buy' then reach_ask_bps else reach_bid_bps end as reach_bps,
    book_status,
    available_at,
    {{ quality(
        'snapshot_at',
        'coalesce(quoted_at, snapshot_at)',
        'null',
        hard_flags=[
            ("book_status = 'crossed'", 'crossed_book'),
            ("book_status = 'empty'", 'empty_book'),
            ('not is_dollar', 'quote_not_dollar'),
        ],
        soft_flags=[
            ("book_status = 'one_sided'", 'one_sided_book'),
            ('unusable_levels > 0', 'unusable_levels'),
            ('doubled_levels > 0', 'doubled_levels'),
            ('is_availability_assumed', 'assumed_availability'),
        ]
    ) }}

from rungs

where available_at <= {{ as_of() }}
