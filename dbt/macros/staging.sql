{# What every staging model does alike: when a row became knowable, and one row per key. #}

{# Seconds between an event and its receipt where nobody recorded the receipt: the venue's own
   figure, else the one for any venue (venue '*'). Needs `latencies_joined`. #}
{% macro latency_s() -%}
    coalesce(venue_latency.latency_s, any_latency.latency_s)
{%- endmacro %}

{# The only join of staging: the dated seed of latencies, for rows named `source`. #}
{% macro latencies_joined(table_name, at) -%}
    left join {{ ref('latencies') }} as venue_latency
        on
            source.venue = venue_latency.venue
            and venue_latency.table_name = '{{ table_name }}'
            and {{ at }} >= venue_latency.valid_from
            and {{ at }} < venue_latency.valid_to
    left join {{ ref('latencies') }} as any_latency
        on
            any_latency.venue = '*'
            and any_latency.table_name = '{{ table_name }}'
            and {{ at }} >= any_latency.valid_from
            and {{ at }} < any_latency.valid_to
{%- endmacro %}

{# The earliest moment a consumer could have known the row. A recorder whose clock lags stamps
   receipts before the event: nothing is known before it happens. #}
{% macro availability(received_at, at) -%}
    greatest(
        {{ at }},
        coalesce({{ received_at }}, {{ plus_seconds(at, latency_s()) }})
    ) as available_at,
    {{ received_at }} is null as is_availability_assumed
{%- endmacro %}

{# Which of the rows of one key to keep: 1. The day is part of the key wherever daily models read,
   so that their filter on it reaches the files. #}
{% macro place_among_equals(key) -%}
    row_number() over (
        partition by {{ key | join(", ") }}
        order by available_at asc nulls last
    ) as place_among_equals
{%- endmacro %}
