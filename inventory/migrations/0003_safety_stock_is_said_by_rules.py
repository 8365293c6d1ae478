"""What a level keeps back is said by rules from now on: a safety stock that was typed in becomes the rule of its SKU and node."""

from typing import Any

from django.db import migrations
from django.db.models import Exists, OuterRef

NAME = "沿用原安全库存"


def write_rules(apps: Any, schema_editor: Any) -> None:
    """One rule per level with a safety stock that no rule of this SKU at this node speaks of yet, 2,000 at a time."""
    Level, StockRule = apps.get_model("inventory", "Level"), apps.get_model("inventory", "StockRule")
    known = StockRule.objects.filter(node=OuterRef("node"), sku=OuterRef("sku"), safety_stock__isnull=False)
    levels = Level.objects.filter(~Exists(known), safety_stock__gt=0).order_by("id")
    after = 0
    while rows := list(levels.filter(id__gt=after).values_list("id", "node_id", "sku_id", "safety_stock")[:2000]):
        rules = [StockRule(name=NAME, node_id=node_id, sku_id=sku_id, safety_stock=units) for _, node_id, sku_id, units in rows]
        StockRule.objects.bulk_create(rules)
        after = rows[-1][0]


def drop_rules(apps: Any, schema_editor: Any) -> None:
    """The levels keep their figures."""
    apps.get_model("inventory", "StockRule").objects.filter(name=NAME).delete()


class Migration(migrations.Migration):
    dependencies = [("inventory", "0002_one_stock_pool")]
    operations = [migrations.RunPython(write_rules, drop_rules, elidable=False)]
