"""Orders that nobody can serve stand in a queue of their own, and may be held for a person."""

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("orders", "0007_rules_are_read_from_sets")]

    operations = [
        migrations.CreateModel(
            name="StrandedOrder",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("order", models.OneToOneField(
                    on_delete=django.db.models.deletion.PROTECT, related_name="stranding", to="orders.order",
                    verbose_name="订单",
                )),
                ("since", models.DateTimeField(verbose_name="开始等待")),
                ("tried_at", models.DateTimeField(verbose_name="最近尝试")),
                ("tries", models.PositiveIntegerField(default=1, verbose_name="尝试次数")),
                ("reasons", models.JSONField(default=list, verbose_name="原因")),
                ("cancel_at", models.DateTimeField(blank=True, null=True, verbose_name="到时取消")),
                ("cancelled_at", models.DateTimeField(blank=True, null=True, verbose_name="取消时间")),
            ],
            options={
                "verbose_name": "无法派单",
                "verbose_name_plural": "无法派单",
                "indexes": [
                    models.Index(fields=["since", "id"], condition=Q(("cancelled_at", None)), name="stranded_by_age"),
                    models.Index(
                        fields=["cancel_at"], condition=Q(("cancel_at__isnull", False), ("cancelled_at", None)),
                        name="stranded_to_cancel",
                    ),
                    models.Index(
                        fields=["cancelled_at"], condition=Q(("cancelled_at__isnull", False)), name="stranded_and_cancelled",
                    ),
                ],
            },
        ),
        migrations.AlterField("orderhold", "reason", models.CharField(
            choices=[
                ("address", "地址无法识别"), ("sku", "商品未匹配"), ("totals", "金额不一致"), ("remark", "买家留言"), ("risk", "平台风控"),
                ("amended", "接单后平台变更"), ("unroutable", "无法派单"),
            ],
            max_length=10, verbose_name="原因",
        )),
    ]
