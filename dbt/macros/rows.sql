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

{# `relation` and a column `name`: share of strictly earlier rows whose value is not above this
   row's, NULL below `minimum` of them. Values are not NULL; `order` is unique within `partition`. #}
{% macro with_earlier_share(relation, value, name, partition, order, minimum) -%}
    {{ return(adapter.dispatch('with_earlier_share', 'hedgehouse')(
        relation, value, name, partition, order, minimum
    )) }}
{%- endmacro %}

{% macro default__with_earlier_share(relation, value, name, partition, order, minimum) -%}
    select
        *,
        case
            when count(*) over so_far > {{ minimum }}
                then
                    (round(cume_dist(order by {{ value }}) over so_far * count(*) over so_far) - 1)
                    / (count(*) over so_far - 1)
        end as {{ name }}

    from {{ relation }}

    window so_far as (
        partition by {{ partition }}
        order by {{ order }} asc nulls last
        rows between unbounded preceding and current row
    )
{%- endmacro %}

{% macro spark__with_earlier_share(relation, value, name, partition, order, minimum) -%}
    select
        {{ relation }}.*,
        shares.share as {{ name }}

    from {{ relation }}

    left join (
        select
            later.{{ partition }},
            later.{{ order }},
            avg(case when earlier.{{ value }} <= later.{{ value }} then 1e0 else 0e0 end) as share

        from {{ relation }} as later

        inner join {{ relation }} as earlier
            on
                later.{{ partition }} = earlier.{{ partition }}
                and later.{{ order }} > earlier.{{ order }}

        group by later.{{ partition }}, later.{{ order }}

        having count(*) >= {{ minimum }}
    ) as shares
        on
            {{ relation }}.{{ partition }} = shares.{{ partition }}
            and {{ relation }}.{{ order }} = shares.{{ order }}
{%- endmacro %}

{# `relation` and a column `name`: share of the strictly earlier rows at most `window_s` seconds back
   whose value is not above this row's, NULL below `minimum` of them. Rows without a value get NULL
   and do not count. No two rows of a partition have the same `instant`; its columns may be NULL. #}
{% macro with_recent_share(relation, value, name, partition, instant, window_s, minimum) -%}
    {{ return(adapter.dispatch('with_recent_share', 'hedgehouse')(
        relation, value, name, partition, instant, window_s, minimum
    )) }}
{%- endmacro %}

{% macro default__with_recent_share(relation, value, name, partition, instant, window_s, minimum) -%}
    select
        *,
        case
            when {{ value }} is not null and count(*) over recent > {{ minimum }}
                then
                    (round(cume_dist(order by {{ value }}) over recent * count(*) over recent) - 1)
                    / (count(*) over recent - 1)
        end as {{ name }}

    from {{ relation }}

    window recent as (
        partition by {{ partition | join(", ") }}, {{ value }} is null
        order by {{ instant }} asc nulls last
        range between interval '{{ window_s }} seconds' preceding and current row
    )
{%- endmacro %}

{% macro spark__with_recent_share(relation, value, name, partition, instant, window_s, minimum) -%}
    select
        {{ relation }}.*,
        shares.share as {{ name }}

    from {{ relation }}

    left join (
        select
            {%- for column in partition %}
            later.{{ column }},
            {%- endfor %}
            later.{{ instant }},
            avg(case when earlier.{{ value }} <= later.{{ value }} then 1e0 else 0e0 end) as share

        from {{ relation }} as later

        inner join {{ relation }} as earlier
            on
                {%- for column in partition %}
                later.{{ column }} <=> earlier.{{ column }}
                and {% endfor -%}
                later.{{ instant }} > earlier.{{ instant }}
                and {{ micros("later." ~ instant) }} - {{ micros("earlier." ~ instant) }} <= {{ window_s }} * 1000000
                and later.{{ value }} is not null
                and earlier.{{ value }} is not null

        group by
            {%- for column in partition %}
            later.{{ column }},
            {%- endfor %}
            later.{{ instant }}

        having count(*) >= {{ minimum }}
    ) as shares
        on
            {%- for column in partition %}
            {{ relation }}.{{ column }} <=> shares.{{ column }}
            and {% endfor -%}
            {{ relation }}.{{ instant }} = shares.{{ instant }}
{%- endmacro %}
