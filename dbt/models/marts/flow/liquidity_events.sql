with

books as (

    select
        venue,
        underlying,
        instrument_id,
        {{ micros('snapshot_at') }} as at_us,
        {{ micros('available_at') }} as known_us,
        -- Unlike spread_bps it is there for crossed books too, and then not above zero.
        20000 * (best_ask_price - best_bid_price) / (best_ask_price + best_bid_price) as spread_bps,
        thinner_width_bps as measure,
        thinner_depth_usd as depth_usd,
        is_availability_assumed

    from {{ ref('int_book_depths') }}

),

instruments as (

    select
        venue,
        underlying,
        instrument_id,
        min(case when is_availability_assumed then at_us end) as assumed_from_us,
        {{ list_of('at_us', 'at_us') }} as at_us,
        {{ list_of('known_us', 'at_us') }} as known_us,
        {{ list_of('spread_bps', 'at_us') }} as spread_bps,
        {{ list_of('depth_usd', 'at_us') }} as depth_usd,
        {{ list_of('cast(measure as bigint)', 'at_us') }} as measure

    from books

    group by venue, underlying, instrument_id

),

-- A day of earlier books, one per 10 s at most, 4 at least; a spread three times the usual and
-- above 1 bp, over when within one and a half times; a depth below two fifths, over at nine tenths.
found as (

    select
        venue,
        underlying,
        instrument_id,
        assumed_from_us,
        {{ exploded(
            'liquidity_events(at_us, known_us, spread_bps, depth_usd, measure, '
            ~ '86400, 10, 4, 3, 1.5, 1, 0.4, 0.9)'
        ) }} as event

    from instruments

),

of_books as (

    select
        venue,
        underlying,
        instrument_id,
        event.kind,
        'books' as table_name,
        {{ instant_of('event.started_us') }} as started_at,
        {{ instant_of('event.ended_us') }} as ended_at,
        {{ instant_of('event.worst_us') }} as worst_at,
        {{ instant_of('event.half_us') }} as half_recovered_at,
        {{ instant_of('event.detected_us') }} as detected_at,
        {{ instant_of('event.known_us') }} as available_at,
        event.baseline,
        event.threshold,
        event.worst,
        event.history_rows,
        event.measure,
        cast(null as varchar) as detail,
        -- Of books until the one that ended it; one that is ongoing rests on all there are.
        assumed_from_us is not null and assumed_from_us <= coalesce(event.ended_us, assumed_from_us)
            as is_availability_assumed

    from found

),

-- A hole of any feed: whoever reads the market through it is blind.
gaps as (

    select *

    from {{ ref('gaps') }}

    where table_name in ('books', 'quotes', 'trades', 'liquidations')

),

minutes as (

    select
        instrument_id,
        minute_at,
        available_at

    from {{ ref('bars_1m') }}

),

-- A hole of prints is told by what came after it, and an archive comes a day later: until then nobody knows.
found_gaps as (

    select
        gaps.*,
        greatest(
            gaps.ended_at,
            coalesce(
                case when gaps.table_name in ('trades', 'liquidations') then minutes.available_at end,
                gaps.ended_at
            )
        ) as found_at

    from gaps

    {{ asof_left_join('minutes', 'minutes', ['instrument_id'], 'gaps', 'ended_at', 'minute_at') }}

),

of_gaps as (

    select
        gaps.venue,
        named.underlying,
        gaps.instrument_id,
        'feed_gap' as kind,
        gaps.table_name,
        gaps.started_at,
        gaps.ended_at,
        gaps.started_at as worst_at,
        cast(null as timestamp) as half_recovered_at,
        gaps.found_at as detected_at,
        gaps.found_at as available_at,
        cast(null as double) as baseline,
        cast(null as double) as threshold,
        cast({{ seconds_between('gaps.started_at', 'gaps.ended_at') }} as double) as worst,
        cast(null as bigint) as history_rows,
        cast(null as bigint) as measure,
        gaps.cause as detail,
        false as is_availability_assumed

    from found_gaps as gaps

    left join (
        select
            instrument_id,
            max(underlying) as underlying

        from {{ ref('stg_instruments') }}

        group by instrument_id
    ) as named
        on gaps.instrument_id = named.instrument_id

),

events as (

    select * from of_books

    union all

    select * from of_gaps

),

ranked as (

    select
        *,
        row_number() over (
            partition by venue, instrument_id, table_name, kind, started_at
            order by ended_at desc nulls first, detail asc nulls last
        ) as place

    from events

)

select
    md5(concat_ws(
        '|',
        venue,
        coalesce(instrument_id, ''),
        table_name,
        kind,
        cast({{ micros('started_at') }} as varchar)
    )) as event_id,
    venue,
    underlying,
    instrument_id,
    kind,
    table_name,
    started_at,
    ended_at,
    detected_at,
    worst_at,
    ended_at is null as is_ongoing,
    case kind
        when 'depth_collapse' then 'usd'
        when 'feed_gap' then 's'
        when 'void' then null
        else 'bps'
    end as unit,
    baseline,
    threshold,
    worst,
    case kind
        when 'spread_blowout' then worst / nullif(threshold, 0)
        when 'depth_collapse' then threshold / nullif(worst, 0)
    end as severity,
    cast({{ seconds_between('started_at', 'ended_at') }} as double) as duration_s,
    case
        when threshold is not null
            then cast({{ seconds_between('worst_at', 'half_recovered_at') }} as double)
    end as half_recovery_s,
    case
        when threshold is not null
            then cast({{ seconds_between('worst_at', 'ended_at') }} as double)
    end as recovery_s,
    case when measure > 0 then cast(measure as double) end as depth_width_bps,
    history_rows,
    detail,
    available_at,
    {{ quality(
        'coalesce(ended_at, available_at)',
        'coalesce(ended_at, available_at)',
        'null',
        soft_flags=[
            ("kind = 'depth_collapse' and measure = 0", 'depth_as_recorded'),
            ('history_rows < 12', 'short_history'),
            ('underlying is null', 'unknown_instrument'),
            ('is_availability_assumed', 'assumed_availability'),
        ]
    ) }}

from ranked

where place = 1 and available_at <= {{ as_of() }}
