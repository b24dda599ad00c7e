with

rules as (

    select * from {{ ref('funding_rules') }}

),

-- ---------- how much rides on it

seen as (

    select
        interest.instrument_id,
        {{ plus_seconds('interest.hour_end_at', '3600 * later.n') }} as hour_end_at,
        interest.quoted_at,
        interest.open_interest_usd

    from {{ ref('int_open_interest') }} as interest

    cross join {{ numbers(25) }} as later

),

interests as (

    select
        seen.*,
        row_number() over (
            partition by seen.instrument_id, seen.hour_end_at
            order by seen.quoted_at desc nulls last
        ) as place

    from seen

    inner join rules
        on
            seen.hour_end_at >= rules.valid_from
            and seen.hour_end_at < rules.valid_to

    where
        {{ seconds_between('seen.quoted_at', 'seen.hour_end_at') }}
        <= rules.max_open_interest_age_s

),

contracts as (

    select
        instrument_id,
        min(contract_type) as contract_type

    from {{ ref('stg_instruments') }}

    where kind = 'perp'

    group by instrument_id

),

-- ---------- one perpetual of each venue: the one on which most is open

chosen as (

    select
        latest.*,
        interests.open_interest_usd,
        contracts.contract_type,
        row_number() over (
            partition by latest.underlying, latest.venue, latest.hour_end_at
            order by
                interests.open_interest_usd desc nulls last,
                case when contracts.contract_type = 'linear' then 0 else 1 end asc nulls last,
                latest.instrument_id asc nulls last
        ) as venue_place

    from {{ ref('int_funding_known') }} as latest

    left join interests
        on
            latest.instrument_id = interests.instrument_id
            and latest.hour_end_at = interests.hour_end_at
            and interests.place = 1

    left join contracts
        on latest.instrument_id = contracts.instrument_id

),

charged as (

    select
        chosen.*,
        rules.horizon_days,
        -- In and out, crossing the spread both times.
        2 * fees.taker_bps as round_trip_bps,
        case when chosen.open_interest_usd is not null then chosen.apr end as weighed_apr

    from chosen

    inner join rules
        on
            chosen.hour_end_at >= rules.valid_from
            and chosen.hour_end_at < rules.valid_to

    left join {{ ref('fees') }} as fees
        on
            chosen.venue = fees.venue
            and fees.kind = 'perp'
            and fees.contract_type in ('*', coalesce(chosen.contract_type, '*'))
            and rules.fee_tier = fees.tier
            and chosen.hour_end_at >= fees.valid_from
            and chosen.hour_end_at < fees.valid_to

    where chosen.venue_place = 1

),

hours as (

    select
        underlying,
        {{ plus_seconds('hour_end_at', -3600) }} as hour_at,
        hour_end_at,
        {{ list_of(
            record_of([
                ('venue', 'venue'),
                ('instrument_id', 'instrument_id'),
                ('apr', 'apr'),
                ('rate_kind', 'rate_kind'),
                ('interval_s', 'interval_s'),
                ('age_s', seconds_between('event_at', 'hour_end_at')),
                ('open_interest_usd', 'open_interest_usd'),
                ('is_capped', 'is_capped'),
                ('is_contradicted', 'is_contradicted'),
            ]),
            'venue'
        ) }} as apr_by_venue,
        count(*) as venue_count,
        count(open_interest_usd) as weighed_venue_count,
        {{ exact_sum('weighed_apr * open_interest_usd') }}
        / nullif({{ exact_sum('case when weighed_apr is not null then open_interest_usd end') }}, 0)
            as apr_open_interest_weighted,
        -- In basis points and exact, so that it is the same in whatever order venues come.
        {{ exact_sum('1e4 * apr') }} as sum_bps,
        {{ exact_sum('1e8 * apr * apr') }} as sum_squares,
        max(apr) as highest_apr,
        min(apr) as lowest_apr,
        {{ last_by('venue', ['apr', 'venue']) }} as highest_venue,
        {{ first_by('venue', ['apr', 'venue']) }} as lowest_venue,
        {{ last_by('instrument_id', ['apr', 'venue']) }} as highest_instrument_id,
        {{ first_by('instrument_id', ['apr', 'venue']) }} as lowest_instrument_id,
        {{ last_by('coalesce(round_trip_bps, -1)', ['apr', 'venue']) }} as highest_round_trip_bps,
        {{ first_by('coalesce(round_trip_bps, -1)', ['apr', 'venue']) }} as lowest_round_trip_bps,
        max(horizon_days) as horizon_days,
        max(event_at) as newest_event_at,
        max(case when is_availability_assumed then 1 else 0 end) = 1 as is_assumed,
        max(case when is_contradicted then 1 else 0 end) = 1 as is_contradicted,
        max(case when is_interval_default then 1 else 0 end) = 1 as is_interval_default,
        max(case when rate_kind = 'settled' then 1 else 0 end) = 1
        and max(case when rate_kind = 'indicative' then 1 else 0 end) = 1 as is_mixed

    from charged

    group by underlying, hour_end_at

),

spreads as (

    select
        *,
        case
            when venue_count > 1
                then
                    sqrt(greatest(sum_squares - sum_bps * sum_bps / venue_count, 0) / (venue_count - 1))
                    / 1e4
        end as dispersion_apr,
        case when venue_count > 1 then highest_apr - lowest_apr end as spread_apr,
        case
            when venue_count > 1 and highest_round_trip_bps >= 0 and lowest_round_trip_bps >= 0
                then highest_round_trip_bps + lowest_round_trip_bps
        end as fees_bps,
        venue_count / cast(max(venue_count) over day_before as double) as coverage_share

    from hours

    window day_before as (
        partition by underlying
        order by hour_end_at asc nulls last
        range between interval '24 hours' preceding and current row
    )

)

select
    underlying,
    hour_at,
    apr_by_venue,
    venue_count,
    apr_open_interest_weighted,
    weighed_venue_count,
    weighed_venue_count / cast(venue_count as double) as open_interest_coverage_share,
    dispersion_apr,
    case when venue_count > 1 then highest_venue end as highest_venue,
    case when venue_count > 1 then lowest_venue end as lowest_venue,
    case when venue_count > 1 then highest_instrument_id end as highest_instrument_id,
    case when venue_count > 1 then lowest_instrument_id end as lowest_instrument_id,
    spread_apr,
    fees_bps,
    horizon_days,
    spread_apr - fees_bps / 1e4 * 365 / horizon_days as net_spread_apr,
    spread_apr * 1e4 * horizon_days / 365 - fees_bps as net_spread_bps,
    365 * fees_bps / 1e4 / nullif(spread_apr, 0) as breakeven_days,
    coverage_share,
    hour_end_at as available_at,
    {{ quality(
        'hour_end_at',
        'newest_event_at',
        'coverage_share',
        soft_flags=[
            ('venue_count < 2', 'one_venue'),
            ('weighed_venue_count < venue_count', 'open_interest_unknown'),
            ('venue_count > 1 and fees_bps is null', 'fee_unknown'),
            ('is_mixed', 'mixed_rate_kinds'),
            ('is_contradicted', 'contradicted_rate'),
            ('is_interval_default', 'interval_assumed'),
            ('is_assumed', 'assumed_availability'),
        ]
    ) }}

from spreads

where hour_end_at <= {{ as_of() }}
