with

sampled as (

    -- A mark at midnight may be seen from both days.
    select
        *,
        row_number() over (
            partition by instrument_id, snapshot_at
            order by quoted_at desc nulls last
        ) as age_rank

    from {{ ref('int_basis_quotes') }}

    where kind in ('perp', 'future')

),

quotes as (

    select
        venue,
        underlying,
        instrument_id,
        quoted_at,
        snapshot_at,
        kind,
        base,
        quote,
        expires_at,
        mid_price,
        mark_price,
        last_price,
        index_price,
        available_at,
        is_availability_assumed

    from sampled

    where age_rank = 1

),

priced as (

    select
        *,
        'mid' as price_kind,
        mid_price as price,
        quoted_at as observed_at

    from quotes

    where mid_price is not null

    union all

    select
        *,
        'mark' as price_kind,
        mark_price as price,
        quoted_at as observed_at

    from quotes

    where mark_price is not null

    union all

    select
        *,
        'last' as price_kind,
        last_price as price,
        quoted_at as observed_at

    from quotes

    where last_price is not null

    union all

    select
        venue,
        underlying,
        instrument_id,
        traded_at as quoted_at,
        snapshot_at,
        kind,
        base,
        quote,
        expires_at,
        cast(null as double) as mid_price,
        cast(null as double) as mark_price,
        cast(null as double) as last_price,
        cast(null as double) as index_price,
        available_at,
        is_availability_assumed,
        'last' as price_kind,
        close_price as price,
        traded_at as observed_at

    from {{ ref('int_basis_trades') }}

    where kind in ('perp', 'future')

),

newest as (

    -- A last price may be seen on the tape and in a quote of the same bin: the newer counts.
    select
        *,
        max(index_price) over (partition by instrument_id, snapshot_at) as bin_index_price,
        row_number() over (
            partition by instrument_id, price_kind, snapshot_at
            order by observed_at desc nulls last, available_at desc nulls last
        ) as age_rank

    from priced

    where expires_at is null or snapshot_at < expires_at

),

derivatives as (

    select *

    from newest

    where age_rank = 1

),

spots as (

    select
        derivatives.instrument_id,
        derivatives.price_kind,
        derivatives.snapshot_at,
        spot.instrument_id as spot_instrument_id,
        spot.spot_source,
        spot.source_rank,
        spot.price,
        spot.quote as spot_quote,
        spot.observed_at,
        spot.available_at,
        spot.is_availability_assumed

    from derivatives

    inner join {{ ref('int_spot_prices') }} as spot
        on
            derivatives.base = spot.base
            and derivatives.snapshot_at = spot.snapshot_at

    union all

    select
        instrument_id,
        price_kind,
        snapshot_at,
        cast(null as varchar) as spot_instrument_id,
        'index' as spot_source,
        3 as source_rank,
        bin_index_price as price,
        'USD' as spot_quote,
        observed_at,
        available_at,
        is_availability_assumed

    from derivatives

    where bin_index_price is not null

),

converted as (

    select
        spots.*,
        case
            when spots.spot_quote = derivatives.quote then cast(1 as double)
            when rates.price is not null then rates.price
            when inverses.price is not null then 1 / inverses.price
        end as stablecoin_rate,
        greatest(
            spots.available_at,
            coalesce(rates.available_at, spots.available_at),
            coalesce(inverses.available_at, spots.available_at)
        ) as converted_available_at,
        coalesce(quote_asset.is_dollar, false) as is_dollar_quote,
        coalesce(spot_asset.is_dollar and quote_asset.is_dollar, false) as is_dollar_pair

    from spots

    inner join derivatives
        on
            spots.instrument_id = derivatives.instrument_id
            and spots.price_kind = derivatives.price_kind
            and spots.snapshot_at = derivatives.snapshot_at

    left join {{ ref('int_spot_prices') }} as rates
        on
            spots.spot_quote = rates.base
            and derivatives.quote = rates.quote
            and spots.snapshot_at = rates.snapshot_at

    left join {{ ref('int_spot_prices') }} as inverses
        on
            derivatives.quote = inverses.base
            and spots.spot_quote = inverses.quote
            and spots.snapshot_at = inverses.snapshot_at

    left join {{ ref('quote_assets') }} as spot_asset
        on spots.spot_quote = spot_asset.asset

    left join {{ ref('quote_assets') }} as quote_asset
        on derivatives.quote = quote_asset.asset

),

chosen as (

    select
        *,
        row_number() over (
            partition by instrument_id, price_kind, snapshot_at
            order by
                case when stablecoin_rate is null then 1 else 0 end asc nulls last,
                source_rank asc nulls last,
                case when stablecoin_rate = 1 then 0 else 1 end asc nulls last,
                spot_quote asc nulls last
        ) as choice

    from converted

    where stablecoin_rate is not null or is_dollar_pair

),

paired as (

    select
        derivatives.venue,
        derivatives.underlying,
        derivatives.instrument_id,
        derivatives.price_kind,
        derivatives.snapshot_at,
        derivatives.kind,
        derivatives.expires_at,
        derivatives.price,
        chosen.price * coalesce(chosen.stablecoin_rate, 1) as spot_price,
        chosen.spot_source,
        chosen.spot_instrument_id,
        chosen.stablecoin_rate,
        chosen.is_dollar_quote,
        chosen.spot_source is not null
        and chosen.stablecoin_rate is null as is_stablecoin_rate_assumed,
        {{ seconds_between('derivatives.snapshot_at', 'derivatives.expires_at') }} / 86400
            as tenor_days,
        greatest(
            derivatives.snapshot_at,
            derivatives.available_at,
            coalesce(chosen.converted_available_at, derivatives.available_at)
        ) as available_at,
        greatest(
            derivatives.observed_at,
            coalesce(chosen.observed_at, derivatives.observed_at)
        ) as newest_observed_at,
        derivatives.is_availability_assumed
        or coalesce(chosen.is_availability_assumed, false) as is_availability_assumed

    from derivatives

    left join chosen
        on
            derivatives.instrument_id = chosen.instrument_id
            and derivatives.price_kind = chosen.price_kind
            and derivatives.snapshot_at = chosen.snapshot_at
            and chosen.choice = 1

),

annualised as (

    select
        *,
        case when is_dollar_quote then price - spot_price end as basis_usd,
        10000 * (price / spot_price - 1) as basis_bps,
        case when tenor_days >= 1 then (price / spot_price - 1) * 365 / tenor_days end
            as basis_simple,
        case when tenor_days >= 1 then ln(price / spot_price) * 365 / tenor_days end as basis_log,
        case when tenor_days >= 1 then {{ growth('price / spot_price', '365 / tenor_days') }} end
            as basis_compound

    from paired

),

compared as (

    select
        *,
        -- Annualised, a future's basis does not shrink merely because it ages.
        case when kind = 'perp' then basis_bps else basis_simple end as compared_basis

    from annualised

),

scored as (

    select
        *,
        case
            when
                count(compared_basis) over month_before >= 30
                and stddev_samp(compared_basis) over month_before > 1e-9
                then
                    (compared_basis - avg(compared_basis) over month_before)
                    / stddev_samp(compared_basis) over month_before
        end as z_30d

    from compared

    window month_before as (
        partition by instrument_id, price_kind
        order by snapshot_at asc nulls last
        range between interval '30 days' preceding and interval '1 microsecond' preceding
    )

)

select
    scored.venue,
    scored.underlying,
    scored.instrument_id,
    scored.price_kind,
    scored.snapshot_at,
    scored.kind,
    scored.expires_at,
    scored.tenor_days,
    scored.price,
    scored.spot_price,
    scored.spot_source,
    scored.spot_instrument_id,
    scored.stablecoin_rate,
    scored.is_stablecoin_rate_assumed,
    scored.basis_usd,
    scored.basis_bps,
    scored.basis_simple,
    scored.basis_log,
    scored.basis_compound,
    scored.z_30d,
    case
        when scored.z_30d >= rules.entry_z then 'enter_short_derivative'
        when scored.z_30d <= -rules.entry_z then 'enter_long_derivative'
        when abs(scored.z_30d) <= rules.exit_z then 'exit'
        when scored.z_30d is not null then 'none'
    end as entry_exit_flag,
    scored.available_at,
    {{ quality(
        'scored.snapshot_at',
        'scored.newest_observed_at',
        'null',
        hard_flags=[('scored.spot_price is null', 'no_spot')],
        soft_flags=[
            ('scored.is_stablecoin_rate_assumed', 'stablecoin_assumed'),
            ('scored.is_availability_assumed', 'assumed_availability'),
        ]
    ) }}

from scored

left join {{ ref('basis_rules') }} as rules
    on
        scored.kind = rules.kind
        and scored.snapshot_at >= rules.valid_from
        and scored.snapshot_at < rules.valid_to

where scored.available_at <= {{ as_of() }}
