"""Orders that wait already join the queue."""

from typing import Any

from django.db import migrations


def join(apps: Any, schema_editor: Any) -> None:
    """They have waited since they came in, as far as anybody knows."""
    stranded = apps.get_model("orders", "StrandedOrder")
    waiting = apps.get_model("orders", "Order").objects.filter(state="unroutable").values_list("pk", "placed_at")
    stranded.objects.bulk_create(
        (stranded(order_id=pk, since=placed_at, tried_at=placed_at) for pk, placed_at in waiting.iterator()), batch_size=1000
    )


class Migration(migrations.Migration):
    dependencies = [("orders", "0008_orders_that_nobody_can_serve")]

    operations = [migrations.RunPython(join, migrations.RunPython.noop)]
