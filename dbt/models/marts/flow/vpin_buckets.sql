with

plan as (

    select * from {{ ref('int_vpin_plan') }}

),

fragments as (

    -- Days cut by an older plan are left out until they are cut again; a test says which.
    select
        fragments.*,
        plan.venue,
        plan.underlying,
        plan.is_inverse,
        plan.contract_size,
        plan.first_bucket + fragments.bucket_offset as bucket_number,
        plan.is_own_day,
        plan.restart_count,
        plan.history_available_at

    from {{ ref('int_vpin_fragments') }} as fragments

    inner join plan
        on
            fragments.instrument_id = plan.instrument_id
            and fragments.day_at = plan.day_at
            and fragments.bucket_lots = plan.bucket_lots
            and fragments.open_lots = plan.open_lots
            and fragments.open_bucket_lots = plan.open_bucket_lots
            and fragments.lot_native = plan.lot_native

),

buckets as (

    select
        venue,
        underlying,
        instrument_id,
        bucket_number,
        is_inverse,
        contract_size,
        lot_native,
        min(day_at) as opened_day_at,
        min(started_at) as started_at,
        max(ended_at) as ended_at,
        max(available_at) as prints_available_at,
        max(history_available_at) as history_available_at,
        -- Its size was fixed on the day on which it opened.
        {{ first_by('is_own_day', ['day_at']) }} as is_own_day,
        {{ first_by('restart_count', ['day_at']) }} as restart_count,
        sum(buy_lots) as buy_lots,
        sum(sell_lots) as sell_lots,
        {{ exact_sum('buy_base') }} as buy_base,
        {{ exact_sum('sell_base') }} as sell_base,
        min(coverage) as coverage,
        max(case when coverage is null then 1 else 0 end) as unproven_count,
        max(assumed_count) as assumed_count,
        max(unsided_count) as unsided_count

    from fragments

    group by
        venue,
        underlying,
        instrument_id,
        bucket_number,
        is_inverse,
        contract_size,
        lot_native

    having max(case when is_full then 1 else 0 end) = 1

),

measured as (

    select
        *,
        buy_lots + sell_lots as bucket_lots,
        -- Contracts are converted at the prices of the prints; base coins need no conversion.
        case when is_inverse then buy_base else {{ native('buy_lots') }} end as buy_volume_base,
        case when is_inverse then sell_base else {{ native('sell_lots') }} end as sell_volume_base,
        case
            when is_inverse then buy_base + sell_base
            else {{ native('buy_lots + sell_lots') }}
        end as bucket_volume_base,
        case
            when is_inverse then {{ native('buy_lots + sell_lots') }}
            else {{ native('buy_lots + sell_lots') }} / contract_size
        end as bucket_volume_contracts,
        max(greatest(
            prints_available_at,
            coalesce(history_available_at, prints_available_at),
            case when is_own_day then {{ day_end('opened_day_at') }} else prints_available_at end
        )) over so_far as available_at,
        min(restart_count) over last_50 as first_restart_count,
        case
            when count(*) over last_50 = 50
                then
                    cast(sum(abs(buy_lots - sell_lots)) over last_50 as double)
                    / cast(sum(buy_lots + sell_lots) over last_50 as double)
        end as vpin

    from buckets

    window
        so_far as (
            partition by instrument_id
            order by bucket_number asc nulls last
            rows between unbounded preceding and current row
        ),
        last_50 as (
            partition by instrument_id
            order by bucket_number asc nulls last
            rows between 49 preceding and current row
        )

),

measurable as (

    select
        instrument_id,
        bucket_number,
        vpin

    from measured

    where vpin is not null

),

placed as (

    {{ with_earlier_share(
        'measurable', 'vpin', 'vpin_cdf', 'instrument_id', 'bucket_number', 100
    ) }}

)

select
    measured.venue,
    measured.underlying,
    measured.instrument_id,
    'aggressor' as classification,
    measured.bucket_number,
    measured.bucket_volume_base,
    measured.bucket_volume_contracts,
    measured.started_at,
    measured.ended_at,
    measured.buy_volume_base,
    measured.sell_volume_base,
    measured.vpin,
    placed.vpin_cdf,
    measured.available_at,
    {{ quality(
        'measured.ended_at',
        'measured.ended_at',
        'measured.coverage',
        soft_flags=[
            ('measured.is_own_day', 'own_day_size'),
            ('measured.first_restart_count < measured.restart_count', 'restarted'),
            ('measured.unproven_count > 0', 'coverage_unproven'),
            ('measured.unsided_count > 0', 'side_unknown'),
            ('measured.assumed_count > 0', 'assumed_availability'),
        ]
    ) }}

from measured

left join placed
    on
        measured.instrument_id = placed.instrument_id
        and measured.bucket_number = placed.bucket_number

where measured.available_at <= {{ as_of() }}
