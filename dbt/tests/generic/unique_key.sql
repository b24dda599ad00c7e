{# One row per the columns named: the grain the model's description promises. #}
{% test unique_key(model, columns) %}

select
    {{ columns | join(",\n    ") }},
    count(*) as row_count

from {{ model }}

group by {{ columns | join(", ") }}

having count(*) > 1

{% endtest %}
