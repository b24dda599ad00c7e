with

partial as (

    -- What an hour's last prints were followed by may lie in the next day.
    select
        venue,
        underlying,
        instrument_id,
        {{ exploded('minutes') }} as sums

    from {{ ref('int_flow_days') }}

),

hours as (

    select
        venue,
        underlying,
        instrument_id,
        {{ hour_of(instant_of('sums.minute * 60000000')) }} as hour_at,
        {{ instant_of('max(sums.newest_us)') }} as newest_event_at,
        {{ instant_of('max(sums.known_us)') }} as inputs_available_at,
        sum(sums.buys) as buy_count,
        sum(sums.sells) as sell_count,
        sum(sums.unsided) as unsided_count,
        sum(sums.turns) as turn_count,
        sum(sums.priced) as priced_count,
        least(sum(sums.count_1s), sum(sums.count_5s), sum(sums.count_1m), sum(sums.count_5m)) as later_count,
        -- A spread counts both ways of a trip, a markout one.
        {{ mean_of('-0.5 * ' ~ exact_sum('sums.realised_1s'), exact_sum('sums.weight_1s')) }} as markout_1s_bps,
        {{ mean_of('-0.5 * ' ~ exact_sum('sums.realised_5s'), exact_sum('sums.weight_5s')) }} as markout_5s_bps,
        {{ mean_of('-0.5 * ' ~ exact_sum('sums.realised_1m'), exact_sum('sums.weight_1m')) }} as markout_1m_bps,
        {{ mean_of('-0.5 * ' ~ exact_sum('sums.realised_5m'), exact_sum('sums.weight_5m')) }} as markout_5m_bps,
        {{ mean_of('0.5 * ' ~ exact_sum('sums.moved_1m'), exact_sum('sums.weight_1m')) }} as adverse_selection_bps

    from partial

    group by venue, underlying, instrument_id, {{ hour_of(instant_of('sums.minute * 60000000')) }}

    having sum(sums.buys + sums.sells + sums.unsided) > 0

),

timed as (

    select
        *,
        {{ plus_seconds('hour_at', 3600) }} as hour_end_at,
        -- The mid five minutes after the last print.
        {{ plus_seconds('hour_at', 3900) }} as closes_at

    from hours

),

covered as (

    select
        instrument_id,
        {{ hour_of('minute_at') }} as hour_at,
        {{ last_by('coalesce(coverage_share, -1)', ['minute_at']) }} as coverage,
        max(case when {{ has_flag('quality_flags', 'assumed_availability') }} then 1 else 0 end)
            as assumed_count,
        max(available_at) as available_at

    from {{ ref('bars_1m') }}

    group by instrument_id, {{ hour_of('minute_at') }}

),

-- Buckets that became known together count as their last.
buckets as (

    select
        instrument_id,
        available_at,
        max(ended_at) as ended_at,
        {{ last_by('vpin', ['bucket_number']) }} as vpin,
        {{ last_by('vpin_cdf', ['bucket_number']) }} as vpin_cdf

    from {{ ref('vpin_buckets') }}

    where classification = 'aggressor' and vpin is not null

    group by instrument_id, available_at

),

joined as (

    select
        timed.*,
        large.large_base,
        case when large.large_base is not null then large.large_volume_base / nullif(large.volume_base, 0) end
            as large_trade_share,
        buckets.vpin as last_vpin,
        buckets.vpin_cdf as last_vpin_cdf,
        buckets.ended_at as vpin_ended_at,
        coalesce(
            {{ seconds_between('buckets.ended_at', 'timed.hour_end_at') }} > 86400, false
        ) as is_vpin_old,
        covered.coverage,
        covered.assumed_count,
        greatest(
            timed.closes_at,
            timed.inputs_available_at,
            coalesce(covered.available_at, timed.closes_at),
            coalesce(large.history_available_at, timed.closes_at)
        ) as known_at

    from timed

    left join {{ ref('int_large_prints') }} as large
        on
            timed.instrument_id = large.instrument_id
            and timed.hour_at = large.hour_at

    left join covered
        on
            timed.instrument_id = covered.instrument_id
            and timed.hour_at = covered.hour_at

    {{ asof_left_join('buckets', 'buckets', ['instrument_id'], 'timed', 'hour_end_at', 'available_at') }}

),

-- What a bucket that ended more than a day ago says of the hour is not known.
aged as (

    select
        *,
        case when not is_vpin_old then last_vpin end as vpin,
        case when not is_vpin_old then last_vpin_cdf end as vpin_cdf

    from joined

),

series as (

    select
        instrument_id,
        {{ list_of(step_number('hour_at', 3600), 'hour_at') }} as hour_numbers,
        {{ list_of('vpin', 'hour_at') }} as vpins

    from aged

    group by instrument_id

),

judged as (

    select
        series.instrument_id,
        rules.valid_from,
        rules.valid_to,
        {{ exploded(
            'toxicity_states(series.hour_numbers, series.vpins, rules.elevated_enter, '
            ~ 'rules.elevated_exit, rules.toxic_enter, rules.toxic_exit, rules.window_hours, '
            ~ 'rules.min_hours)'
        ) }} as judgement

    from series

    cross join {{ ref('toxicity_rules') }} as rules

    where rules.figure = 'vpin'

),

final as (

    select
        aged.venue,
        aged.underlying,
        aged.instrument_id,
        aged.hour_at,
        cast(aged.buy_count + aged.sell_count + aged.unsided_count as bigint) as print_count,
        aged.vpin,
        aged.vpin_cdf,
        aged.vpin_ended_at,
        aged.markout_1s_bps,
        aged.markout_5s_bps,
        aged.markout_1m_bps,
        aged.markout_5m_bps,
        aged.adverse_selection_bps,
        aged.large_trade_share,
        aged.large_base as large_trade_base,
        (aged.buy_count + aged.sell_count) / cast(greatest(aged.turn_count, 1) as double)
            as run_length,
        coalesce(judged.judgement.toxicity_state, 'unknown') as toxicity_state,
        judged.judgement.past_share as vpin_past_share,
        -- A state rests on the hours before it: no earlier than they were all there.
        max(aged.known_at) over (
            partition by aged.instrument_id
            order by aged.hour_at asc nulls last
            rows between unbounded preceding and current row
        ) as available_at,
        {{ quality(
            'aged.hour_end_at',
            'aged.newest_event_at',
            'case when aged.coverage >= 0 then aged.coverage end',
            soft_flags=[
                ('aged.last_vpin is null', 'no_vpin'),
                ('aged.is_vpin_old', 'old_vpin'),
                ('aged.priced_count = 0', 'no_mid'),
                (
                    'aged.priced_count > 0 and aged.priced_count < aged.buy_count + aged.sell_count',
                    'mids_missing'
                ),
                ('aged.later_count < aged.priced_count', 'later_mids_missing'),
                ('aged.large_base is null', 'no_size_history'),
                ('aged.unsided_count > 0', 'side_unknown'),
                ('coalesce(aged.coverage, -1) < 0', 'coverage_unproven'),
                ('aged.assumed_count > 0', 'assumed_availability'),
            ],
        ) }}

    from aged

    left join judged
        on
            aged.instrument_id = judged.instrument_id
            and {{ step_number('aged.hour_at', 3600) }} = judged.judgement.hour
            and aged.hour_at >= judged.valid_from
            and aged.hour_at < judged.valid_to

)

select * from final

where available_at <= {{ as_of() }}
