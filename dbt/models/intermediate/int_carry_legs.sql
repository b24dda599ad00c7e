with

quotes as (

    -- A mark at midnight may be seen from both days.
    select
        *,
        row_number() over (
            partition by instrument_id, snapshot_at
            order by mid_at desc nulls last
        ) as age_rank

    from {{ ref('int_basis_quotes') }}

    where mid_price > 0 and (expires_at is null or snapshot_at < expires_at)

)

select
    quotes.venue,
    quotes.underlying,
    quotes.instrument_id,
    quotes.snapshot_at,
    quotes.kind,
    quotes.contract_type,
    quotes.base,
    quotes.quote,
    quotes.expires_at,
    quotes.mid_price,
    quotes.mid_at,
    quotes.half_spread_bps,
    fees.taker_bps as fee_bps,
    margins.initial_margin_share,
    margins.maintenance_margin_share,
    quotes.available_at,
    quotes.is_availability_assumed

from quotes

inner join {{ ref('quote_assets') }} as quote_assets
    on quotes.quote = quote_assets.asset and quote_assets.is_dollar

left join {{ ref('fees') }} as fees
    on
        quotes.venue = fees.venue
        and quotes.kind = fees.kind
        and (fees.contract_type = '*' or quotes.contract_type = fees.contract_type)
        and fees.tier = 'regular'
        and quotes.snapshot_at >= fees.valid_from
        and quotes.snapshot_at < fees.valid_to

left join {{ ref('margins') }} as margins
    on
        quotes.venue = margins.venue
        and quotes.kind = margins.kind
        and quotes.contract_type = margins.contract_type
        and quotes.snapshot_at >= margins.valid_from
        and quotes.snapshot_at < margins.valid_to

where quotes.age_rank = 1
