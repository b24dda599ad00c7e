with

-- What one dollar currency is worth in another: as quoted, and the other way round.
quoted as (

    select
        base as from_asset,
        quote as to_asset,
        snapshot_at,
        price as rate,
        1 as preference,
        instrument_id,
        source_rank,
        observed_at,
        available_at,
        is_availability_assumed

    from {{ ref('int_spot_prices') }}

    where price > 0

    union all

    select
        quote as from_asset,
        base as to_asset,
        snapshot_at,
        1 / price as rate,
        2 as preference,
        instrument_id,
        source_rank,
        observed_at,
        available_at,
        is_availability_assumed

    from {{ ref('int_spot_prices') }}

    where price > 0

),

-- The newest is not the best: markets differ by more than a moment does, and a choice that hops tells of both.
ranked as (

    select
        quoted.*,
        row_number() over (
            partition by quoted.from_asset, quoted.to_asset, quoted.snapshot_at
            order by
                case
                    when
                        {{ seconds_between('quoted.observed_at', 'quoted.snapshot_at') }}
                        > rules.max_asynchrony_s
                        then 1
                    else 0
                end asc nulls last,
                quoted.source_rank asc nulls last,
                quoted.preference asc nulls last,
                quoted.instrument_id asc nulls last
        ) as choice

    from quoted

    inner join {{ ref('quote_assets') }} as from_assets
        on quoted.from_asset = from_assets.asset and from_assets.is_dollar

    inner join {{ ref('quote_assets') }} as to_assets
        on quoted.to_asset = to_assets.asset and to_assets.is_dollar

    left join {{ ref('basis_rules') }} as rules
        on
            rules.kind = 'perp'
            and quoted.snapshot_at >= rules.valid_from
            and quoted.snapshot_at < rules.valid_to

)

select
    from_asset,
    to_asset,
    snapshot_at,
    rate,
    instrument_id,
    observed_at,
    available_at,
    is_availability_assumed

from ranked

where choice = 1
