{# What models over long windows read: whole hours, and more days than their batch. A daily model
   that uses `in_batch_or_before` says `meta: {carries_state: true}`. #}

{# Whether `at` lies in the batch's day; always where there is no batch. #}
{% macro in_batch(at) -%}
    {{ in_batch_or_before(at, 0) }}
{%- endmacro %}

{# Whether `at` lies in the batch's day or the `days` before it; always where there is no batch. #}
{% macro in_batch_or_before(at, days) -%}
    {%- set batch = model.batch if model is defined -%}
    {%- if batch -%}
        {%- set first = batch.event_time_start - modules.datetime.timedelta(days=days) -%}
        (
            {{ at }} >= cast('{{ first.strftime("%Y-%m-%d") }}' as timestamp)
            and {{ at }} < cast('{{ batch.event_time_end.strftime("%Y-%m-%d") }}' as timestamp)
        )
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}

{# Which step of `seconds` since 1970 holds the instant. #}
{% macro step_number(instant, seconds) -%}
    cast(floor({{ micros(instant) }} / (({{ seconds }}) * 1000000.0)) as bigint)
{%- endmacro %}

{# Whole seconds since 1970. #}
{% macro whole_seconds(instant) -%}
    {{ step_number(instant, 1) }}
{%- endmacro %}

{# A relation of whole numbers in one column. #}
{% macro each_of(values, name) -%}
    (
        {%- for value in values %}
        select cast({{ value }} as integer) as {{ name }}{{ " union all" if not loop.last }}
        {%- endfor %}
    )
{%- endmacro %}
