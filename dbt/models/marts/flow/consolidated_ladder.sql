{{ config(
    materialized='incremental',
    incremental_strategy='microbatch',
    event_time='snapshot_at',
    meta={'reads_day_before': true},
) }}

{# A book takes part for so long, after midnight too. #}
{% set carried_s = 5 %}

with

-- Spot with spot, perpetuals with perpetuals, all that is quoted in dollars; a book without a
-- middle cannot be compared.
offers as (

    select
        books.underlying,
        books.kind,
        books.instrument_id,
        books.snapshot_at,
        books.quoted_at,
        books.stood_at,
        books.available_at,
        books.is_availability_assumed,
        books.levels,
        books.contract_type = 'inverse' as is_inverse,
        books.lot_size is null as is_lot_unknown,
        depths.mid_price,
        -- A lot is declared in contracts; one that is unknown counts as a dollar.
        coalesce(
            books.lot_size * coalesce(books.contract_size, 1),
            case when books.contract_type = 'inverse' then 1 else 1 / depths.mid_price end
        ) as lot,
        fees.taker_bps

    from {{ uncut(ref('int_books')) }} as books

    inner join {{ uncut(ref('int_book_depths')) }} as depths
        on
            books.instrument_id = depths.instrument_id
            and books.snapshot_at = depths.snapshot_at

    left join {{ ref('fees') }} as fees
        on
            books.venue = fees.venue
            and books.kind = fees.kind
            and (fees.contract_type = '*' or books.contract_type = fees.contract_type)
            and fees.tier = 'regular'
            and books.snapshot_at >= fees.valid_from
            and books.snapshot_at < fees.valid_to

    where
        books.kind in ('spot', 'perp')
        and books.is_dollar
        and depths.book_status = 'ok'
        and {{ in_batch_or_day_before('books.day_at') }}
        and (
            {{ in_batch('books.snapshot_at') }}
            or {{ in_batch(plus_seconds('books.snapshot_at', carried_s)) }}
        )
        and (
            {{ in_batch('depths.snapshot_at') }}
            or {{ in_batch(plus_seconds('depths.snapshot_at', carried_s)) }}
        )

),

members as (

    select
        underlying,
        kind,
        instrument_id,
        min(snapshot_at) as first_at,
        min(available_at) as first_known_at

    from offers

    group by underlying, kind, instrument_id

),

instants as (

    select distinct
        underlying,
        kind,
        snapshot_at

    from offers

    where taker_bps is not null and {{ in_batch('snapshot_at') }}

),

-- Whoever has had a book by then, for that one is yet to come cannot be known.
asked as (

    select
        instants.underlying,
        instants.kind,
        instants.snapshot_at,
        members.instrument_id,
        members.first_known_at <= instants.snapshot_at as is_known

    from instants

    inner join members
        on
            instants.underlying = members.underlying
            and instants.kind = members.kind
            and instants.snapshot_at >= members.first_at

),

found as (

    select
        asked.underlying,
        asked.kind,
        asked.snapshot_at,
        asked.instrument_id,
        asked.is_known,
        offers.stood_at,
        coalesce(offers.quoted_at, offers.snapshot_at) as quoted_at,
        offers.available_at,
        offers.is_availability_assumed,
        offers.levels,
        offers.is_inverse,
        offers.is_lot_unknown,
        offers.mid_price,
        offers.lot,
        offers.taker_bps,
        {{ seconds_between('offers.snapshot_at', 'asked.snapshot_at') }} <= {{ carried_s }} as is_fresh

    from asked

    {{ asof_left_join(
        'offers', 'offers', ['instrument_id'], 'asked', 'snapshot_at', 'snapshot_at'
    ) }}

),

-- Books of one instant of the grid were asked for one after the other: one that stood well after the
-- first of them shows another market, and a split over both was never to be had.
together as (

    select
        *,
        is_fresh
        and {{ seconds_between('first_stood_at', 'stood_at') }} <= {{ carried_s }} as takes_part

    from (
        select
            *,
            greatest(
                snapshot_at,
                min(case when is_fresh then stood_at end) over (partition by underlying, kind, snapshot_at)
            ) as first_stood_at

        from found
    ) as dated

),

judged as (

    select
        *,
        max(case when is_known and not takes_part then 1 else 0 end) over alike = 1 as is_book_missing,
        max(case when takes_part and taker_bps is null then 1 else 0 end) over alike = 1 as is_fee_unknown

    from together

    window alike as (partition by underlying, kind, snapshot_at)

),

combined as (

    select
        underlying,
        kind,
        snapshot_at,
        is_book_missing,
        is_fee_unknown,
        {{ exact_sum('mid_price') }} / count(*) as reference_price,
        max(case when is_lot_unknown then 1 else 0 end) = 1 as is_lot_unknown,
        max(case when is_availability_assumed then 1 else 0 end) = 1 as is_availability_assumed,
        {{ seconds_between('min(stood_at)', 'greatest(snapshot_at, max(stood_at))') }} as oldest_book_age_s,
        min(quoted_at) as oldest_quoted_at,
        greatest(snapshot_at, max(available_at)) as available_at,
        {{ list_of('instrument_id', 'instrument_id') }} as instrument_ids,
        {{ list_of('levels', 'instrument_id') }} as levels,
        {{ list_of('lot', 'instrument_id') }} as lot,
        {{ list_of('is_inverse', 'instrument_id') }} as is_inverse,
        {{ list_of('taker_bps', 'instrument_id') }} as taker_bps

    from judged

    where takes_part and taker_bps is not null

    group by underlying, kind, snapshot_at, is_book_missing, is_fee_unknown

),

rungs as (

    select
        underlying,
        kind,
        snapshot_at,
        reference_price,
        is_book_missing,
        is_fee_unknown,
        is_lot_unknown,
        is_availability_assumed,
        oldest_book_age_s,
        oldest_quoted_at,
        available_at,
        instrument_ids,
        {{ exploded(
            'book_split(instrument_ids, levels, lot, is_inverse, taker_bps, reference_price)'
        ) }} as rung

    from combined

)

select
    underlying,
    kind,
    rung.side,
    rung.notional as notional_usd,
    snapshot_at,
    'regular' as fee_tier,
    reference_price,
    rung.vwap,
    rung.slippage_bps,
    rung.fee_bps,
    rung.cost_bps,
    rung.is_fillable,
    rung.filled as filled_usd,
    instrument_ids,
    rung.shares,
    rung.best_single as best_single_instrument_id,
    rung.best_single_cost_bps,
    rung.gap_bps,
    oldest_book_age_s,
    available_at,
    {{ quality(
        'snapshot_at',
        'oldest_quoted_at',
        'null',
        soft_flags=[
            ('is_book_missing', 'book_missing'),
            ('is_fee_unknown', 'fee_unknown'),
            ('oldest_book_age_s > ' ~ carried_s, 'books_apart'),
            ('is_lot_unknown', 'unknown_lot'),
            ('is_availability_assumed', 'assumed_availability'),
        ]
    ) }}

from rungs

where available_at <= {{ as_of() }}
