{{ config(meta={'reads_day_before': true, 'rows_from': ['option_quotes']}) }}

with

indices as (

    select *

    from {{ ref('int_tenor_variances') }}

    where tenor_days = 30 and method in ('strip', 'surface')

),

-- Candles of the venue's own index: what it was when the last of them ended.
published as (

    select
        venue,
        underlying,
        ended_at,
        max(coalesce(interval_s, 0)) as interval_s,
        {{ last_by('close', ['event_at', 'instrument_id']) }} as published_iv,
        {{ last_by('instrument_id', ['event_at', 'instrument_id']) }} as published_instrument_id,
        max(available_at) as published_available_at,
        max(case when is_availability_assumed then 1 else 0 end) = 1 as is_availability_assumed

    from {{ uncut(ref('stg_volatility_indices')) }}

    where close is not null and {{ in_batch_or_day_before('event_at') }}

    group by venue, underlying, ended_at

),

limits as (

    select * from {{ ref('option_filters') }}

),

joined as (

    select
        indices.*,
        published.ended_at,
        published.interval_s,
        published.published_iv,
        published.published_instrument_id,
        published.published_available_at,
        published.is_availability_assumed

    from indices

    {{ asof_left_join('published', 'published', ['venue', 'underlying'], 'indices', 'snapshot_at', 'ended_at') }}

),

aged as (

    select
        joined.*,
        -- Until the next one ends a candle says what there is to know.
        {{ seconds_between('joined.ended_at', 'joined.snapshot_at') }}
        <= greatest(joined.interval_s, limits.max_reference_age_s) as is_fresh

    from joined

    inner join limits
        on joined.snapshot_at >= limits.valid_from and joined.snapshot_at < limits.valid_to

),

compared as (

    select
        *,
        sqrt(variance) as index_iv,
        case when is_fresh then published_iv end as fresh_iv

    from aged

),

final as (

    select
        venue,
        underlying,
        method,
        snapshot_at,
        index_iv,
        coverage_share as strip_coverage_share,
        fresh_iv as published_iv,
        index_iv - fresh_iv as difference_iv,
        case when is_fresh then published_instrument_id end as published_instrument_id,
        case when is_fresh then ended_at end as published_at,
        total_variance,
        cast(strikes_used as integer) as strikes_used,
        expiry_before_at,
        expiry_after_at,
        case
            when is_fresh then greatest(available_at, published_available_at)
            else available_at
        end as available_at,
        {{ quality(
            'snapshot_at',
            'newest_quoted_at',
            'null',
            hard_flags=[('index_iv is null', 'no_index')],
            soft_flags=[
                ('coverage_share < 0.9', 'thin_strip'),
                ('index_iv is not null and coverage_share is null', 'coverage_unknown'),
                ('abs(index_iv - fresh_iv) > 0.05', 'far_from_published'),
                ('is_forward_elsewhere', 'forward_not_from_parity'),
                ('is_fresh and is_availability_assumed', 'assumed_availability'),
            ],
        ) }}

    from compared

)

select * from final
