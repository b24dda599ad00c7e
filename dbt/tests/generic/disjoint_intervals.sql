{# Validity intervals of one key are not empty and never overlap, so a join on time is exact. #}
{% test disjoint_intervals(model, columns) %}

with

neighbours as (

    select
        {{ columns | join(",\n        ") }},
        valid_from,
        valid_to,
        lead(valid_from) over (
            partition by {{ columns | join(", ") }}
            order by valid_from asc nulls last
        ) as next_valid_from

    from {{ model }}

)

select *

from neighbours

where valid_to <= valid_from or next_valid_from < valid_to

{% endtest %}
