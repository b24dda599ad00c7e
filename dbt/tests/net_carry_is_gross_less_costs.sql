-- Nothing is earned that is not gross, and nothing is paid that no part names.
select
    strategy,
    short_instrument_id,
    long_instrument_id,
    horizon_days,
    snapshot_at

from {{ ref('net') }}

where
    net_apr is distinct from gross_apr - costs_apr
    or costs_apr is distinct from fees_apr + slippage_apr + borrow_apr + margin_drag_apr
