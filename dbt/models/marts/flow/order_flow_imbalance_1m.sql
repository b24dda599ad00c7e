with

minutes as (

    select
        venue,
        underlying,
        instrument_id,
        {{ exploded('imbalances') }} as found

    from {{ ref('int_flow_days') }}

),

timed as (

    select
        *,
        {{ instant_of('found.minute * 60000000') }} as minute_at,
        {{ instant_of('(found.minute + 1) * 60000000') }} as minute_end_at,
        {{ instant_of('found.newest_us') }} as newest_event_at,
        {{ instant_of('found.known_us') }} as inputs_available_at

    from minutes

),

final as (

    select
        venue,
        underlying,
        instrument_id,
        minute_at,
        found.updates as update_count,
        found.unrecorded = 0 as is_complete,
        found.imbalance_base,
        found.depth_base,
        found.imbalance_base / nullif(2 * found.depth_base, 0) as imbalance_ticks,
        greatest(minute_end_at, inputs_available_at) as available_at,
        {{ quality(
            'minute_end_at',
            'newest_event_at',
            'null',
            hard_flags=[
                ('found.unrecorded > 0', 'updates_missing'),
                ('found.one_sided > 0', 'one_sided'),
            ],
            soft_flags=[('found.crossed > 0', 'crossed')],
        ) }}

    from timed

)

select * from final

where available_at <= {{ as_of() }}
