{# Choosing among rows: what is spelled differently on the two engines stands here. #}

{# `value` of the row that comes first (last) by `order`, a list of expressions, within a group;
   rows whose value is NULL do not count. #}
{% macro first_by(value, order) -%}
    {{ return(adapter.dispatch('first_by', 'hedgehouse')(value, order)) }}
{%- endmacro %}

{% macro default__first_by(value, order) -%}
    arg_min({{ value }}, row({{ order | join(", ") }}))
{%- endmacro %}

{% macro spark__first_by(value, order) -%}
    min_by({{ value }}, case when {{ value }} is not null then struct({{ order | join(", ") }}) end)
{%- endmacro %}

{% macro last_by(value, order) -%}
    {{ return(adapter.dispatch('last_by', 'hedgehouse')(value, order)) }}
{%- endmacro %}

{% macro default__last_by(value, order) -%}
    arg_max({{ value }}, row({{ order | join(", ") }}))
{%- endmacro %}

{% macro spark__last_by(value, order) -%}
    max_by({{ value }}, case when {{ value }} is not null then struct({{ order | join(", ") }}) end)
{%- endmacro %}

{# Continuous quantile of a group. #}
{% macro quantile(value, share) -%}
    {{ return(adapter.dispatch('quantile', 'hedgehouse')(value, share)) }}
{%- endmacro %}

{% macro default__quantile(value, share) -%}
    quantile_cont({{ value }}, {{ share }})
{%- endmacro %}

{% macro spark__quantile(value, share) -%}
    percentile({{ value }}, {{ share }})
{%- endmacro %}

{# The most frequent value of a window or group. #}
{% macro most_frequent(value) -%}
    mode({{ value }})
{%- endmacro %}

{# One row per element of a list, in a select list. #}
{% macro exploded(list) -%}
    {{ return(adapter.dispatch('exploded', 'hedgehouse')(list)) }}
{%- endmacro %}

{% macro default__exploded(list) -%}
    unnest({{ list }})
{%- endmacro %}

{% macro spark__exploded(list) -%}
    explode({{ list }})
{%- endmacro %}
