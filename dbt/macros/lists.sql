{# Lists, row generators and numbers as text: what is spelled differently on the two engines. #}

{# The values of a group as a list in ascending `order`; NULL values keep their place. #}
{% macro list_of(value, order) -%}
    {{ return(adapter.dispatch('list_of', 'hedgehouse')(value, order)) }}
{%- endmacro %}

{% macro default__list_of(value, order) -%}
    list({{ value }} order by {{ order }} asc nulls last)
{%- endmacro %}

{% macro spark__list_of(value, order) -%}
    array_sort(collect_list(struct({{ order }} as place, {{ value }} as entry))).entry
{%- endmacro %}

{# The same for many groups of a few hundred rows: an ordered aggregate keeps blocks of memory for every
   group. `order` tells every row of a group apart. #}
{% macro short_list_of(value, order) -%}
    {{ return(adapter.dispatch('short_list_of', 'hedgehouse')(value, order)) }}
{%- endmacro %}

{% macro default__short_list_of(value, order) -%}
    list_transform(
        list_sort(list(row({{ order }}, {{ value }}))),
        lambda entry: entry[{{ order.split(',') | length + 1 }}]
    )
{%- endmacro %}

{% macro spark__short_list_of(value, order) -%}
    {{ list_of(value, order) }}
{%- endmacro %}

{# The rows of a group as a list of records, in any order; `fields` maps names to values. #}
{% macro records_of(fields) -%}
    {{ return(adapter.dispatch('records_of', 'hedgehouse')(fields)) }}
{%- endmacro %}

{% macro default__records_of(fields) -%}
    list(struct_pack(
        {%- for name, value in fields.items() %}{{ name }} := {{ value }}{{ ", " if not loop.last }}{% endfor -%}
    ))
{%- endmacro %}

{% macro spark__records_of(fields) -%}
    collect_list(named_struct(
        {%- for name, value in fields.items() %}'{{ name }}', {{ value }}{{ ", " if not loop.last }}{% endfor -%}
    ))
{%- endmacro %}

{# A relation of the whole numbers 0 to count - 1, in column `n`. #}
{% macro numbers(count) -%}
    {{ return(adapter.dispatch('numbers', 'hedgehouse')(count)) }}
{%- endmacro %}

{% macro default__numbers(count) -%}
    (select unnest(range({{ count }})) as n)
{%- endmacro %}

{% macro spark__numbers(count) -%}
    (select explode(sequence(0, {{ count }} - 1)) as n)
{%- endmacro %}

{# A number as text with a fixed number of decimals, empty where NULL: the same on every engine. #}
{% macro text_of(value, digits) -%}
    coalesce(cast(cast({{ value }} as decimal(38, {{ digits }})) as varchar), '')
{%- endmacro %}

{# The entries of a list of text as one text. #}
{% macro joined_text(entries, separator) -%}
    {{ return(adapter.dispatch('joined_text', 'hedgehouse')(entries, separator)) }}
{%- endmacro %}

{% macro default__joined_text(entries, separator) -%}
    array_to_string({{ entries }}, '{{ separator }}')
{%- endmacro %}

{% macro spark__joined_text(entries, separator) -%}
    array_join({{ entries }}, '{{ separator }}')
{%- endmacro %}
