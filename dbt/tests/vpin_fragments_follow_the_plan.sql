-- A revision of an early day moves the buckets of the days after it, which must be cut again.
select
    plan.instrument_id,
    plan.classification,
    plan.day_at

from {{ ref('int_vpin_plan') }} as plan

inner join {{ ref('int_vpin_days') }} as days
    on
        plan.instrument_id = days.instrument_id
        and plan.day_at = days.day_at

left join {{ ref('int_vpin_fragments') }} as fragments
    on
        plan.instrument_id = fragments.instrument_id
        and plan.classification = fragments.classification
        and plan.day_at = fragments.day_at
        and plan.bucket_lots = fragments.bucket_lots
        and plan.open_lots = fragments.open_lots
        and plan.open_bucket_lots = fragments.open_bucket_lots
        and plan.places = fragments.places

where
    fragments.instrument_id is null
    and case plan.classification
        when 'bulk' then days.volume_native
        else days.sided_native
    end > 0
