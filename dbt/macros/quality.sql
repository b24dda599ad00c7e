{# The four columns that end every mart row, after `available_at`, which the model writes itself.

   row_at           the row's time; newest_input_at  the newest event its inputs show
   coverage         share 0..1 of what should have been there by the row's time; 'null' counts as 1
   hard_flags, soft_flags   [("condition", "flag_name"), ...]; a condition that is NULL is not met

   A: coverage >= 99.5 % and no flag; B: >= 97 % and no flag; C: >= 90 % and at most one soft flag;
   D: less, display only; F: any hard flag. #}
{% macro quality(row_at, newest_input_at, coverage, hard_flags=[], soft_flags=[]) -%}
    case
        {%- if hard_flags %}
        when {{ flag_count(hard_flags) }} > 0 then 'F'
        {%- endif %}
        when coalesce({{ coverage }}, 1) >= 0.995 and {{ flag_count(soft_flags) }} = 0 then 'A'
        when coalesce({{ coverage }}, 1) >= 0.97 and {{ flag_count(soft_flags) }} = 0 then 'B'
        when coalesce({{ coverage }}, 1) >= 0.9 and {{ flag_count(soft_flags) }} <= 1 then 'C'
        else 'D'
    end as quality_grade,
    {{ flag_names(hard_flags + soft_flags) }} as quality_flags,
    cast({{ seconds_between(newest_input_at, row_at) }} as double) as staleness_s,
    '{{ var("model_version") }}' as model_version
{%- endmacro %}

{# How many of the conditions hold. #}
{% macro flag_count(flags) -%}
    ({% for condition, name in flags -%}
        case when {{ condition }} then 1 else 0 end{{ " + " if not loop.last }}
    {%- else %}0{% endfor %})
{%- endmacro %}

{# The names of the conditions that hold, as an array of text, in the order given. #}
{% macro flag_names(flags) -%}
    {{ return(adapter.dispatch('flag_names', 'hedgehouse')(flags)) }}
{%- endmacro %}

{% macro default__flag_names(flags) -%}
    cast(list_where(
        [{% for condition, name in flags %}'{{ name }}'{{ ", " if not loop.last }}{% endfor %}],
        [
            {%- for condition, name in flags -%}
                coalesce({{ condition }}, false){{ ", " if not loop.last }}
            {%- endfor -%}
        ]
    ) as varchar[])
{%- endmacro %}

{% macro spark__flag_names(flags) -%}
    array_compact(array(
        {% for condition, name in flags -%}
            case when {{ condition }} then '{{ name }}' end{{ ", " if not loop.last }}
        {%- endfor %}
    ))
{%- endmacro %}

{# Whether a row's quality_flags name a flag. #}
{% macro has_flag(flags, name) -%}
    {{ return(adapter.dispatch('has_flag', 'hedgehouse')(flags, name)) }}
{%- endmacro %}

{% macro default__has_flag(flags, name) -%}
    list_contains({{ flags }}, '{{ name }}')
{%- endmacro %}

{% macro spark__has_flag(flags, name) -%}
    array_contains({{ flags }}, '{{ name }}')
{%- endmacro %}
