{{ config(event_time='hour_at', meta={'carries_state': true}) }}

with

-- How long a window and how far apart its steps.
rules as (

    select
        24 as window_hours,
        1800 as step_s
    union all
    select
        168 as window_hours,
        3600 as step_s
    union all
    select
        720 as window_hours,
        3600 as step_s

),

-- Raw fits alone: from one snapshot to the next a repair may begin or end, which is no move.
slices as (

    select
        slices.*,
        {{ has_flag('slices.quality_flags', 'forward_not_from_parity') }} as is_forward_elsewhere,
        {{ plus_seconds('slices.snapshot_at', '-slices.staleness_s') }} as newest_quoted_at,
        rules.window_hours,
        rules.step_s,
        {{ step_number('slices.snapshot_at', 'rules.step_s') }} as step_number

    from {{ uncut(ref('surface_slices')) }} as slices

    inner join rules
        on
            (rules.window_hours = 24 and {{ in_batch_or_before('slices.snapshot_at', 1) }})
            or (rules.window_hours = 168 and {{ in_batch_or_before('slices.snapshot_at', 7) }})
            or (rules.window_hours = 720 and {{ in_batch_or_before('slices.snapshot_at', 30) }})

    where slices.fit_kind = 'raw' and slices.svi_a is not null and slices.t_years > 0

),

-- Of a step its last snapshot counts.
ranked as (

    select
        *,
        row_number() over (
            partition by venue, underlying, expires_at, window_hours, step_number
            order by snapshot_at desc nulls last
        ) as age_rank

    from slices

),

steps as (

    select
        *,
        svi_slope_curvature(svi_a, svi_b, svi_rho, svi_m, svi_sigma, t_years).skew_slope as atm_skew,
        max(available_at) over (
            partition by venue, underlying, expires_at, window_hours
            order by step_number asc nulls last
            rows between unbounded preceding and current row
        ) as steps_available_at

    from ranked

    where age_rank = 1

),

measured as (

    select
        venue,
        underlying,
        expires_at,
        window_hours,
        {{ exploded(
            'skew_stickiness('
            ~ list_of('step_number', 'step_number') ~ ', '
            ~ list_of('atm_iv', 'step_number') ~ ', '
            ~ list_of('atm_skew', 'step_number') ~ ', '
            ~ list_of('forward', 'step_number') ~ ', '
            ~ 'max(cast(floor(3600.0 * window_hours / step_s) as bigint)))'
        ) }} as stickiness

    from steps

    group by venue, underlying, expires_at, window_hours

),

taught as (

    select
        venue,
        underlying,
        expires_at,
        window_hours,
        {{ exploded(
            'smile_hedges('
            ~ list_of('step_number', 'step_number') ~ ', '
            ~ list_of('svi_a', 'step_number') ~ ', '
            ~ list_of('svi_b', 'step_number') ~ ', '
            ~ list_of('svi_rho', 'step_number') ~ ', '
            ~ list_of('svi_m', 'step_number') ~ ', '
            ~ list_of('svi_sigma', 'step_number') ~ ', '
            ~ list_of('forward', 'step_number') ~ ', '
            ~ list_of('t_years', 'step_number') ~ ', '
            ~ 'max(cast(floor(3600.0 * window_hours / step_s) as bigint)), '
            ~ 'min(case when ' ~ in_batch('snapshot_at') ~ ' then step_number end))'
        ) }} as hedges

    from steps

    group by venue, underlying, expires_at, window_hours

),

-- One row an hour: its last step.
hours as (

    select
        *,
        {{ hour_of('snapshot_at') }} as hour_at,
        row_number() over (
            partition by venue, underlying, expires_at, window_hours, {{ hour_of('snapshot_at') }}
            order by step_number desc nulls last
        ) as place_in_hour

    from steps

    where {{ in_batch('snapshot_at') }}

),

joined as (

    select
        hours.*,
        measured.stickiness.ratio,
        measured.stickiness.standard_error,
        measured.stickiness.r_squared,
        measured.stickiness.steps_used,
        taught.hedges.hull_white_a,
        taught.hedges.hull_white_b,
        taught.hedges.hull_white_c,
        taught.hedges.hull_white_gain,
        taught.hedges.stickiness_gain,
        taught.hedges.moves_hedged,
        before.atm_iv as atm_iv_before,
        before.svi_a as a_before,
        before.svi_b as b_before,
        before.svi_rho as rho_before,
        before.svi_m as m_before,
        before.svi_sigma as sigma_before,
        before.forward as forward_before,
        before.t_years as t_before,
        svi_delta_iv(
            hours.svi_a, hours.svi_b, hours.svi_rho, hours.svi_m, hours.svi_sigma, hours.t_years, 0.25
        ).k as call25_k,
        svi_delta_iv(
            hours.svi_a, hours.svi_b, hours.svi_rho, hours.svi_m, hours.svi_sigma, hours.t_years, 0.75
        ).k as put25_k

    from hours

    inner join measured
        on
            hours.venue = measured.venue
            and hours.underlying = measured.underlying
            and hours.expires_at = measured.expires_at
            and hours.window_hours = measured.window_hours
            and hours.step_number = measured.stickiness.step

    inner join taught
        on
            hours.venue = taught.venue
            and hours.underlying = taught.underlying
            and hours.expires_at = taught.expires_at
            and hours.window_hours = taught.window_hours
            and hours.step_number = taught.hedges.step

    left join steps as before
        on
            hours.venue = before.venue
            and hours.underlying = before.underlying
            and hours.expires_at = before.expires_at
            and hours.window_hours = before.window_hours
            and hours.step_number - cast(floor(3600.0 * hours.window_hours / hours.step_s) as bigint)
            = before.step_number

    where hours.place_in_hour = 1

),

hedged as (

    select
        *,
        {%- for name, k in [('atm', '0.0'), ('call25', 'call25_k'), ('put25', 'put25_k')] %}
            svi_minimum_variance_delta(
                svi_a, svi_b, svi_rho, svi_m, svi_sigma, t_years, forward, {{ k }}, ratio
            ) as {{ name }}_hedge,
        {%- endfor %}
        svi_fixed_strike_change(
            forward,
            a_before, b_before, rho_before, m_before, sigma_before, forward_before, t_before,
            svi_a, svi_b, svi_rho, svi_m, svi_sigma, forward, t_years
        ) as fixed_strike_iv_change

    from joined

),

final as (

    select
        venue,
        underlying,
        expires_at,
        cast(window_hours as integer) as window_hours,
        hour_at,
        snapshot_at,
        t_years,
        forward,
        atm_iv,
        atm_skew,
        ratio as skew_stickiness_ratio,
        standard_error as skew_stickiness_error,
        r_squared,
        cast(steps_used as integer) as steps_used,
        cast(step_s as integer) as step_s,
        case
            when ratio is not null then 'ok'
            when steps_used < 30 then 'too_few_steps'
            else 'nothing_moved'
        end as stickiness_status,
        atm_hedge.delta as atm_delta,
        atm_hedge.minimum_variance_delta as atm_minimum_variance_delta,
        hull_white_delta(atm_hedge.delta, hull_white_a, hull_white_b, hull_white_c) as atm_hull_white_delta,
        call25_hedge.delta as call25_delta,
        call25_hedge.minimum_variance_delta as call25_minimum_variance_delta,
        hull_white_delta(call25_hedge.delta, hull_white_a, hull_white_b, hull_white_c) as call25_hull_white_delta,
        put25_hedge.delta as put25_call_delta,
        put25_hedge.minimum_variance_delta as put25_minimum_variance_call_delta,
        hull_white_delta(put25_hedge.delta, hull_white_a, hull_white_b, hull_white_c) as put25_hull_white_call_delta,
        hull_white_a,
        hull_white_b,
        hull_white_c,
        hull_white_gain,
        stickiness_gain,
        cast(moves_hedged as integer) as moves_hedged,
        fixed_strike_iv_change,
        atm_iv - atm_iv_before as atm_iv_change,
        ln(forward / forward_before) as forward_log_return,
        greatest({{ plus_seconds('hour_at', 3600) }}, steps_available_at) as available_at,
        {{ quality(
            plus_seconds('hour_at', 3600),
            'newest_quoted_at',
            'null',
            hard_flags=[('ratio is null', 'no_stickiness')],
            soft_flags=[
                ('standard_error > 0.5', 'wide_error'),
                ('fixed_strike_iv_change is null', 'no_earlier_slice'),
                ('butterfly_min_g < 0', 'butterfly_arbitrage'),
                ('is_forward_elsewhere', 'forward_not_from_parity'),
            ],
        ) }}

    from hedged

)

select * from final

where available_at <= {{ as_of() }}
