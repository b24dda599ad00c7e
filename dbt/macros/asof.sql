{# The latest row of `right` whose `right_time` is not after `left_time`, among rows that agree on the
   columns of `on`; NULLs where there is none. `right` must hold one row per those columns and that
   time, else which of two equal rows is taken would depend on the engine. #}
{% macro asof_left_join(right, alias, on, left, left_time, right_time='available_at') -%}
    {{ return(adapter.dispatch('asof_left_join', 'hedgehouse')(right, alias, on, left, left_time, right_time)) }}
{%- endmacro %}

{% macro default__asof_left_join(right, alias, on, left, left_time, right_time) -%}
    asof left join {{ right }} as {{ alias }}
        on
            {% for column in on -%}
            {{ left }}.{{ column }} = {{ alias }}.{{ column }}
            and {% endfor -%}
            {{ left }}.{{ left_time }} >= {{ alias }}.{{ right_time }}
{%- endmacro %}

{% macro spark__asof_left_join(right, alias, on, left, left_time, right_time) -%}
    left join lateral (
        select candidates.*
        from {{ right }} as candidates
        where
            {% for column in on -%}
            {{ left }}.{{ column }} = candidates.{{ column }}
            and {% endfor -%}
            {{ left }}.{{ left_time }} >= candidates.{{ right_time }}
        order by candidates.{{ right_time }} desc nulls last
        limit 1
    ) as {{ alias }}
{%- endmacro %}
