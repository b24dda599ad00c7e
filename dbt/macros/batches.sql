{# What a daily model reads beyond its own day: dbt cuts a plain `ref` to the batch. A model that uses
   these says `meta: {reads_day_before: true}`, and the build runs a changed day's next day too; one that
   reads all days before says `meta: {carries_state: true}`, and the build runs every later day too. One
   whose rows are those of some of the lake tables it reads names these, `meta: {rows_from: [...]}`: the
   build passes over days that hold none of them. #}

{# All of `relation`; outside dbt a relation is its name. #}
{% macro uncut(relation) -%}
    {{ relation.render() if relation.render is defined else relation }}
{%- endmacro %}

{# Whether `day_at` lies before the batch; never where there is no batch. #}
{% macro before_batch(day_at) -%}
    {%- set batch = model.batch if model is defined -%}
    {%- if batch -%}
        {{ day_at }} < cast('{{ batch.event_time_start.strftime("%Y-%m-%d") }}' as timestamp)
    {%- else -%}
        false
    {%- endif -%}
{%- endmacro %}

{# Whether `day_at` lies before the end of the batch; always where there is no batch. #}
{% macro until_batch(day_at) -%}
    {%- set batch = model.batch if model is defined -%}
    {%- if batch -%}
        {{ day_at }} < cast('{{ batch.event_time_end.strftime("%Y-%m-%d") }}' as timestamp)
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}

{# Whether `day_at` is the batch's day or the one before; always where there is no batch. #}
{% macro in_batch_or_day_before(day_at) -%}
    {%- set batch = model.batch if model is defined -%}
    {%- if batch -%}
        {%- set first = batch.event_time_start - modules.datetime.timedelta(days=1) -%}
        {{ day_at }} >= cast('{{ first.strftime("%Y-%m-%d") }}' as timestamp)
        and {{ day_at }} < cast('{{ batch.event_time_end.strftime("%Y-%m-%d") }}' as timestamp)
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}
