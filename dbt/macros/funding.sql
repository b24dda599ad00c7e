{# Funding as a venue makes it from its average premium index: `kind`, `interest` and `clamp` as in
   seed funding_formulas, all per premium period. #}
{% macro formula_rate(premium, kind, interest, clamp) -%}
    case {{ kind }}
        when 'clamped'
            then {{ premium }} + greatest(-{{ clamp }}, least({{ clamp }}, {{ interest }} - {{ premium }}))
        when 'damped' then greatest({{ clamp }}, {{ premium }}) + least(-{{ clamp }}, {{ premium }})
        when 'premium' then {{ premium }} + {{ interest }}
    end
{%- endmacro %}

{# The premium that makes the formula give `rate`, where one alone does: at `interest` a clamp hides
   it. A damper works on the moment, and a mean of damped rates says nothing of the mean premium. #}
{% macro implied_premium(rate, kind, interest, clamp) -%}
    case
        when {{ kind }} = 'clamped' and {{ rate }} > {{ interest }} then {{ rate }} + {{ clamp }}
        when {{ kind }} = 'clamped' and {{ rate }} < {{ interest }} then {{ rate }} - {{ clamp }}
        when {{ kind }} = 'premium' then {{ rate }} - {{ interest }}
    end
{%- endmacro %}

{# A record of named expressions, [("name", "expression"), ...]. #}
{% macro record_of(fields) -%}
    {{ return(adapter.dispatch('record_of', 'hedgehouse')(fields)) }}
{%- endmacro %}

{% macro default__record_of(fields) -%}
    struct_pack({% for name, value in fields %}{{ name }} := {{ value }}{{ ", " if not loop.last }}{% endfor %})
{%- endmacro %}

{% macro spark__record_of(fields) -%}
    named_struct({% for name, value in fields %}'{{ name }}', {{ value }}{{ ", " if not loop.last }}{% endfor %})
{%- endmacro %}
