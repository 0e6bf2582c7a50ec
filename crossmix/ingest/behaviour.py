"""Behaviour sequences: what a user did before an impression, as it was known then (§2.1)."""

from __future__ import annotations

import ibis
import pyarrow as pa

from crossmix.schema import behaviour_id
from crossmix.sources import Table

SEQUENCES = pa.schema([("impression_id", pa.string()), ("events", pa.list_(pa.int16()))])


def sequences(table: Table, platforms: list[str], length: int) -> Table:
    """Each impression's behaviour: the user's last events known strictly before it, oldest first.

    An impression and its click are known at its timestamp, a conversion at its own (one without a time never is).
    Events of the same microsecond as the impression are not before it.

    Returns:
        impression_id, timestamp, events (array of `schema.behaviour_id`, at most `length`).
    """
    slot = table["platform"].cases(*((name, index) for index, name in enumerate(platforms)), else_=0)
    per_slot = behaviour_id(1, 0) - behaviour_id(0, 0)
    base = slot * per_slot + behaviour_id(0, 0)
    table = table.mutate(_base=base)
    shown = table.select(
        "user_id", "impression_id", known=table["timestamp"], token=table["_base"] + table["clicked"].cast("int64")
    )
    sold = table.filter(table["converted"] & table["conversion_timestamp"].notnull())
    sold = sold.select("user_id", "impression_id", known=sold["conversion_timestamp"], token=sold["_base"] + 2)
    events = shown.union(sold)
    order = [events["known"], events["token"], events["impression_id"]]
    rows = ibis.window(group_by=events["user_id"], order_by=order, preceding=(length, 1))
    ties = ibis.window(group_by=[events["user_id"], events["known"]], order_by=order[1:])
    ordered = events.mutate(before=events["token"].collect().over(rows), tie=ibis.row_number().over(ties))
    # Only the first of simultaneous events has nothing but earlier ones before it.
    history = ordered.filter(ordered["tie"] == 0).select("user_id", "known", "before")
    joined = table.left_join(history, [("user_id", "user_id"), (table["timestamp"], history["known"])])
    empty = ibis.literal([], type="array<int64>")
    return joined.select(
        impression_id=table["impression_id"],
        timestamp=table["timestamp"],
        events=ibis.coalesce(history["before"].cast("array<int64>"), empty),
    )
