"""A dealer's answers are carried to their own table."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.db import migrations


def carry_answers(apps: Any, schema_editor: Any) -> None:
    """Every answer counted so far weighs one, as of today."""
    dealers, acceptance = apps.get_model("dealers", "Dealer"), apps.get_model("dealers", "Acceptance")
    today = datetime.now(ZoneInfo("Asia/Shanghai")).date()
    acceptance.objects.bulk_create(
        acceptance(
            dealer_id=pk, yes_weight=1000 * accepted, no_weight=1000 * refused, as_of=today, accepted_count=accepted,
            refused_count=refused,
        )
        for pk, accepted, refused in dealers.objects.values_list("pk", "accepted_count", "refused_count")
        if accepted or refused
    )  # fmt: skip


def take_answers_back(apps: Any, schema_editor: Any) -> None:
    dealers = apps.get_model("dealers", "Dealer")
    for row in apps.get_model("dealers", "Acceptance").objects.all():
        dealers.objects.filter(pk=row.dealer_id).update(accepted_count=row.accepted_count, refused_count=row.refused_count)


class Migration(migrations.Migration):
    dependencies = [("dealers", "0004_day_loads_and_acceptance")]

    operations = [migrations.RunPython(carry_answers, take_answers_back)]
