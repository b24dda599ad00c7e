with

settlements as (

    select
        funding.*,
        {{ step_number(plus_seconds('funding.event_at', 30), 60) }} * 60 as at_s,
        formulas.rate_step * 28800 / funding.interval_s as step_8h,
        {{ has_flag('funding.quality_flags', 'late_settlement') }} as is_late

    from {{ ref('funding') }} as funding

    left join (
        select
            venue,
            max(rate_step) as rate_step

        from {{ ref('funding_formulas') }}

        group by venue
    ) as formulas
        on funding.venue = formulas.venue

    where funding.interval_s is not null

),

-- What came in order is compared with what came in order and so with what was known; what came late,
-- with others that did.
judged as (

    select
        instrument_id,
        is_late,
        {{ exploded(
            'funding_anomalies('
            ~ list_of('at_s', 'at_s') ~ ', '
            ~ list_of('rate_8h', 'at_s') ~ ', '
            ~ list_of('step_8h', 'at_s') ~ ', '
            ~ list_of('interval_s', 'at_s') ~ ')'
        ) }} as judgement

    from settlements

    group by instrument_id, is_late

),

-- Zero is neither sign: a flip is told against the last rate that had one.
signed as (

    select
        instrument_id,
        at_s,
        case when rate > 0 then 1 else -1 end as sign,
        lag(case when rate > 0 then 1 else -1 end) over (
            partition by instrument_id, is_late
            order by at_s asc nulls last
        ) as earlier_sign

    from settlements

    where rate <> 0

),

compared as (

    select
        settlements.*,
        judged.judgement.rows_7d,
        judged.judgement.rows_30d,
        judged.judgement.z_7d,
        judged.judgement.z_30d,
        judged.judgement.median_14d as median_rate_8h_14d,
        judged.judgement.median_30d as median_rate_8h_30d,
        judged.judgement.scale_30d as scale_8h_30d,
        judged.judgement.robust_z_30d,
        judged.judgement.pinned_share_30d,
        judged.judgement.is_watching,
        judged.judgement.shift_direction,
        {{ instant_of('judged.judgement.onset_s * 1000000') }} as shift_started_at,
        signed.sign <> signed.earlier_sign as has_flipped,
        max(settlements.rate_available_at) over (
            partition by settlements.instrument_id, settlements.is_late
            order by settlements.at_s asc nulls last
            rows between unbounded preceding and current row
        ) as history_available_at

    from settlements

    inner join judged
        on
            settlements.instrument_id = judged.instrument_id
            and settlements.at_s = judged.judgement.at_s

    left join signed
        on
            settlements.instrument_id = signed.instrument_id
            and settlements.at_s = signed.at_s

),

dated as (

    select
        *,
        greatest(available_at, history_available_at) as usable_at

    from compared

)

select
    compared.venue,
    compared.underlying,
    compared.instrument_id,
    compared.event_at,
    compared.rate,
    compared.interval_s,
    compared.rate_8h,
    compared.rows_7d,
    compared.rows_30d,
    compared.z_7d,
    compared.z_30d,
    compared.robust_z_30d,
    compared.median_rate_8h_30d,
    compared.scale_8h_30d,
    compared.pinned_share_30d,
    coalesce(compared.has_flipped, false) as is_sign_flip,
    case
        when compared.median_rate_8h_14d < 0 then 'negative'
        when compared.median_rate_8h_14d <= rules.base_rate_8h + 1e-12 then 'base'
        when compared.median_rate_8h_14d < rules.extreme_rate_8h then 'elevated'
        when compared.median_rate_8h_14d >= rules.extreme_rate_8h then 'extreme'
    end as regime,
    case
        when not compared.is_watching then cast(null as varchar)
        when compared.shift_direction > 0 then 'up'
        when compared.shift_direction < 0 then 'down'
        else 'none'
    end as change_point,
    compared.shift_started_at,
    compared.limit_kind,
    compared.usable_at as available_at,
    {{ quality(
        'compared.event_at',
        'compared.event_at',
        'null',
        hard_flags=[(has_flag('compared.quality_flags', 'contradicted_rate'), 'contradicted_rate')],
        soft_flags=[
            ('compared.rows_30d < 30', 'too_few_rows'),
            (has_flag('compared.quality_flags', 'missing_settlement'), 'missing_settlement'),
            ('compared.is_late', 'late_settlement'),
            (has_flag('compared.quality_flags', 'interval_inferred'), 'interval_inferred'),
            (has_flag('compared.quality_flags', 'assumed_availability'), 'assumed_availability'),
        ]
    ) }}

from dated as compared

left join {{ ref('funding_rules') }} as rules
    on
        compared.event_at >= rules.valid_from
        and compared.event_at < rules.valid_to

where compared.usable_at <= {{ as_of() }}
