{{ config(event_time='hour_at', meta={'carries_state': true}) }}

with

bars as (

    select
        bars.underlying,
        bars.instrument_id,
        bars.minute_at,
        bars.open_price,
        bars.high_price,
        bars.low_price,
        bars.close_price,
        bars.volume_usd,
        bars.available_at,
        bars.staleness_s,
        {{ has_flag('bars.quality_flags', 'assumed_availability') }} as is_assumed

    from {{ uncut(ref('bars_1m')) }} as bars

    inner join {{ ref('stg_instruments') }} as instruments
        on
            bars.instrument_id = instruments.instrument_id
            and {{ day_of('bars.minute_at') }} = instruments.valid_from

    where instruments.kind in ('spot', 'perp') and {{ in_batch_or_before('bars.minute_at', 30) }}

),

hours as (

    select distinct
        underlying,
        {{ hour_of('minute_at') }} as hour_at

    from bars

    where {{ in_batch('minute_at') }}

),

windows as (

    select * from {{ each_of([1, 24, 168, 720], 'window_hours') }} as each_window

),

traded as (

    select
        underlying,
        instrument_id,
        {{ hour_of('minute_at') }} as hour_at,
        coalesce({{ exact_sum('volume_usd') }}, 0) as volume_usd,
        max(available_at) as available_at,
        max({{ plus_seconds(minute_end('minute_at'), '-staleness_s') }}) as newest_event_at,
        max(case when is_assumed then 1 else 0 end) as is_assumed

    from bars

    group by underlying, instrument_id, {{ hour_of('minute_at') }}

),

candidates as (

    select
        hours.underlying,
        hours.hour_at,
        windows.window_hours,
        traded.instrument_id,
        {{ exact_sum('traded.volume_usd') }} as volume_usd,
        max(traded.available_at) as available_at,
        max(traded.newest_event_at) as newest_event_at,
        max(traded.is_assumed) as is_assumed

    from hours

    cross join windows

    inner join traded
        on
            hours.underlying = traded.underlying
            and hours.hour_at >= traded.hour_at
            and {{ plus_seconds('hours.hour_at', '-3600 * windows.window_hours') }} < traded.hour_at

    group by hours.underlying, hours.hour_at, windows.window_hours, traded.instrument_id

),

-- Whose prices count is decided by what had traded by then; the choice rests on all candidates.
chosen as (

    select
        underlying,
        hour_at,
        window_hours,
        instrument_id,
        volume_usd,
        newest_event_at,
        max(available_at) over (partition by underlying, hour_at, window_hours) as available_at,
        max(is_assumed) over (partition by underlying, hour_at, window_hours) = 1 as is_assumed,
        row_number() over (
            partition by underlying, hour_at, window_hours
            order by volume_usd desc nulls last, instrument_id asc nulls last
        ) as choice

    from candidates

),

marks as (

    select
        underlying,
        instrument_id,
        {{ bin_end(minute_end('minute_at'), 300) }} as mark_at,
        {{ last_by('close_price', ['minute_at']) }} as price

    from bars

    group by underlying, instrument_id, {{ bin_end(minute_end('minute_at'), 300) }}

),

fine as (

    select
        underlying,
        instrument_id,
        {{ list_of(whole_seconds('mark_at'), 'mark_at') }} as fine_at_s,
        {{ list_of('price', 'mark_at') }} as fine_prices

    from marks

    group by underlying, instrument_id

),

series as (

    select
        underlying,
        instrument_id,
        {{ list_of(whole_seconds('minute_at'), 'minute_at') }} as at_s,
        {{ list_of('open_price', 'minute_at') }} as opens,
        {{ list_of('high_price', 'minute_at') }} as highs,
        {{ list_of('low_price', 'minute_at') }} as lows,
        {{ list_of('close_price', 'minute_at') }} as closes

    from bars

    group by underlying, instrument_id

),

ends as (

    select
        underlying,
        {{ list_of(whole_seconds('hour_at') ~ ' + 3600', 'hour_at') }} as ends_s

    from hours

    group by underlying

),

windows_listed as (

    select {{ list_of('cast(3600 * window_hours as bigint)', 'window_hours') }} as windows_s from windows

),

estimated as (

    select
        series.underlying,
        series.instrument_id,
        {{ exploded(
            'realized_vols(series.at_s, series.opens, series.highs, series.lows, series.closes, '
            ~ 'fine.fine_at_s, fine.fine_prices, ends.ends_s, windows_listed.windows_s)'
        ) }} as estimate

    from series

    inner join fine
        on
            series.underlying = fine.underlying
            and series.instrument_id = fine.instrument_id

    inner join ends
        on series.underlying = ends.underlying

    cross join windows_listed

),

joined as (

    select
        chosen.underlying,
        chosen.window_hours,
        chosen.hour_at,
        {{ plus_seconds('chosen.hour_at', 3600) }} as hour_end_at,
        chosen.instrument_id,
        chosen.volume_usd,
        chosen.newest_event_at,
        chosen.available_at,
        chosen.is_assumed,
        estimated.estimate.estimator,
        estimated.estimate.observations_used,
        estimated.estimate.gaps_excluded,
        estimated.estimate.observed_share,
        -- Of less than half a window there is no number that could be taken for the window's.
        estimated.estimate.observed_share >= 0.5 as is_observed,
        estimated.estimate.realized_vol,
        estimated.estimate.jump_share,
        estimated.estimate.jump_z,
        estimated.estimate.kurtosis

    from chosen

    inner join estimated
        on
            chosen.underlying = estimated.underlying
            and chosen.instrument_id = estimated.instrument_id
            and chosen.window_hours * 3600 = estimated.estimate.window_s
            and {{ whole_seconds('chosen.hour_at') }} + 3600 = estimated.estimate.end_s

    where chosen.choice = 1

),

final as (

    select
        underlying,
        cast(window_hours as integer) as window_hours,
        estimator,
        'last' as price_kind,
        hour_at,
        instrument_id,
        case when is_observed then realized_vol end as realized_vol,
        case when is_observed then realized_vol * realized_vol end as realized_variance,
        case when is_observed then jump_share end as jump_share,
        case when is_observed then jump_z end as jump_z,
        case when is_observed then kurtosis end as kurtosis,
        observations_used,
        gaps_excluded,
        observed_share,
        volume_usd,
        greatest(hour_end_at, available_at) as available_at,
        {{ quality(
            'hour_end_at',
            'newest_event_at',
            'observed_share',
            hard_flags=[('not is_observed or realized_vol is null', 'too_little_observed')],
            soft_flags=[
                ('gaps_excluded > 0', 'gaps_excluded'),
                ('is_assumed', 'assumed_availability'),
            ],
        ) }}

    from joined

)

select * from final

where available_at <= {{ as_of() }}
