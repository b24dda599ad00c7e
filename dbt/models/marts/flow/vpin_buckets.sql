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
        plan.finest_places,
        plan.first_bucket + fragments.bucket_offset as bucket_number,
        plan.is_own_day,
        plan.restart_count,
        plan.bulk_distribution,
        plan.classification = 'bulk' and plan.deviation is null as is_undeviated,
        plan.history_available_at

    from {{ ref('int_vpin_fragments') }} as fragments

    inner join plan
        on
            fragments.instrument_id = plan.instrument_id
            and fragments.classification = plan.classification
            and fragments.day_at = plan.day_at
            and fragments.bucket_lots = plan.bucket_lots
            and fragments.open_lots = plan.open_lots
            and fragments.open_bucket_lots = plan.open_bucket_lots
            and fragments.places = plan.places

),

buckets as (

    select
        venue,
        underlying,
        instrument_id,
        classification,
        bucket_number,
        is_inverse,
        contract_size,
        finest_places,
        min(day_at) as opened_day_at,
        min(started_at) as started_at,
        max(ended_at) as ended_at,
        max(available_at) as prints_available_at,
        max(history_available_at) as history_available_at,
        -- Its size was fixed on the day on which it opened.
        {{ first_by('is_own_day', ['day_at']) }} as is_own_day,
        {{ first_by('restart_count', ['day_at']) }} as restart_count,
        {{ first_by('bulk_distribution', ['day_at']) }} as bulk_distribution,
        max(case when is_undeviated then 1 else 0 end) as undeviated_count,
        sum({{ lots_again('buy_lots', 'places', 'finest_places') }}) as buy_lots,
        sum({{ lots_again('sell_lots', 'places', 'finest_places') }}) as sell_lots,
        {{ exact_sum('buy_base') }} as buy_base,
        {{ exact_sum('sell_base') }} as sell_base,
        {{ exact_sum('net_square') }} as net_square,
        max(net_largest) as net_largest,
        min(coverage) as coverage,
        max(case when coverage is null then 1 else 0 end) as unproven_count,
        max(assumed_count) as assumed_count,
        max(unsided_count) as unsided_count,
        max(unsized_count) as unsized_count

    from fragments

    group by
        venue,
        underlying,
        instrument_id,
        classification,
        bucket_number,
        is_inverse,
        contract_size,
        finest_places

    having max(case when is_full then 1 else 0 end) = 1

),

compared as (

    select
        *,
        buy_lots + sell_lots as bucket_lots,
        -- In native units, so that what lots are counted in changes no bit.
        vpin_null(net_square, net_largest)
        * {{ native('buy_lots + sell_lots', 'finest_places') }} as null_native

    from buckets

),

measured as (

    select
        *,
        -- Contracts are converted at the prices of the prints; base coins need no conversion.
        case when is_inverse then buy_base else {{ native('buy_lots', 'finest_places') }} end
            as buy_volume_base,
        case when is_inverse then sell_base else {{ native('sell_lots', 'finest_places') }} end
            as sell_volume_base,
        case
            when is_inverse then buy_base + sell_base
            else {{ native('bucket_lots', 'finest_places') }}
        end as bucket_volume_base,
        case
            when is_inverse then {{ native('bucket_lots', 'finest_places') }}
            else {{ native('bucket_lots', 'finest_places') }} / contract_size
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
                    / cast(sum(bucket_lots) over last_50 as double)
        end as vpin,
        case
            when count(*) over last_50 = 50
                then
                    cast(sum({{ exact('null_native') }}) over last_50 as double)
                    / ({{ native('sum(bucket_lots) over last_50', 'finest_places') }})
        end as vpin_null

    from compared

    window
        so_far as (
            partition by instrument_id, classification
            order by bucket_number asc nulls last
            rows between unbounded preceding and current row
        ),
        last_50 as (
            partition by instrument_id, classification
            order by bucket_number asc nulls last
            rows between 49 preceding and current row
        )

),

measurable as (

    select
        concat_ws(' ', classification, instrument_id) as series,
        bucket_number,
        vpin

    from measured

    where vpin is not null

),

placed as (

    {{ with_earlier_share(
        'measurable', 'vpin', 'vpin_cdf', 'series', 'bucket_number', 100
    ) }}

)

select
    measured.venue,
    measured.underlying,
    measured.instrument_id,
    measured.classification,
    measured.bulk_distribution,
    measured.bucket_number,
    measured.bucket_volume_base,
    measured.bucket_volume_contracts,
    measured.started_at,
    measured.ended_at,
    measured.buy_volume_base,
    measured.sell_volume_base,
    measured.vpin,
    measured.vpin_null,
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
            ("measured.unsided_count > 0 and measured.classification = 'aggressor'", 'side_unknown'),
            ('measured.unsized_count > 0', 'size_unknown'),
            ('measured.undeviated_count > 0', 'deviation_unknown'),
            ('measured.assumed_count > 0', 'assumed_availability'),
        ]
    ) }}

from measured

left join placed
    on
        measured.bucket_number = placed.bucket_number
        and concat_ws(' ', measured.classification, measured.instrument_id) = placed.series

where measured.available_at <= {{ as_of() }}
